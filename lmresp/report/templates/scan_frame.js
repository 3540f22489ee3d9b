// Inside the reading room the frame about this page names scan and visit, and links lead nowhere.
if (window.parent !== window) document.documentElement.classList.add("framed");
