// The reading room in the browser: keys, the divider, the jump to a finding. Every rule is judged by the server.
"use strict";
(() => {
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const say = (text) => { const box = one("#said"); if (box) box.textContent = text; };
  const { left, warn, csrf } = document.body.dataset;
  const form = one("form.read");

  // Use the session; gives the seconds that it has left, or says why it is over and gives nothing.
  const stay = async () => {
    try {
      const answer = await fetch("/stay", { method: "POST", body: new URLSearchParams({ csrf }) });
      if (answer.ok) {
        const seconds = Number(await answer.text());
        one("#timeout").hidden = true;
        wait(seconds);
        return seconds;
      }
      fail("You are no longer signed in, and nothing was saved. Note what you typed here, then sign in again.");
    } catch {
      fail("The reading room does not answer, and nothing was saved. What you typed is still here: try again.");
    }
    return 0;
  };
  const fail = (text) => {
    say("");
    const note = document.createElement("p");
    note.className = "note caution";
    note.textContent = text;
    one("#said")?.append(note);
    one("#said")?.scrollIntoView({ block: "nearest" });
  };

  const blocked = one(".blocked");
  if (blocked && !form) blocked.focus();
  if (form) {
    const groups = all("fieldset[data-field]", form);
    const chosen = (group) => one("input[type=radio]:checked", group);
    let typed = false;

    const show = () => {
      let departs = false;
      for (const group of groups) {
        const value = chosen(group)?.value ?? "";
        const why = one(".why-ne", group);
        if (why) { why.hidden = value !== "NE"; one("select", why).disabled = why.hidden; }
        const draft = one(".draft[data-value]", group);
        if (draft) {
          const differs = value !== "" && value !== draft.dataset.value;
          draft.classList.toggle("departs", differs);
          departs ||= differs;
        }
      }
      for (const list of all("details.nodules", form)) {
        const found = chosen(list.closest("section").querySelector("fieldset[data-field]"))?.value ?? "";
        if (["PRESENT", "IMPROVED", "WORSE"].includes(found) && found !== list.dataset.opened) list.open = true;
        list.dataset.opened = found;  // once for each choice: who closes the list keeps it closed
      }
      const why = one("#why-draft", form);
      if (why) why.hidden = !departs && !why.classList.contains("faulty");
      const own = one("#own-read", form);
      const choice = one("input[name=chosen]:checked", form);
      if (own) own.hidden = choice?.value !== "own";
    };
    for (const button of all(".note-toggle", form)) {
      const line = document.getElementById(button.getAttribute("aria-controls"));
      const open = (on) => { line.hidden = !on; button.setAttribute("aria-expanded", String(on)); };
      open(line.value !== "" || location.hash === `#${line.id}`);
      button.addEventListener("click", () => { open(line.hidden); if (!line.hidden) line.focus(); });
    }
    // A link of the summary opens what it leads to.
    for (const link of all(".blocked a")) {
      link.addEventListener("click", () => {
        const target = document.getElementById(link.hash.slice(1));
        target?.closest("details")?.setAttribute("open", "");
        if (target?.matches(".note-line")) target.hidden = false;
      });
    }
    form.addEventListener("input", () => { typed = true; show(); });
    show();

    const next = (group) => {
      const stops = groups.filter((other) => !other.closest("[hidden]"));
      const after = stops.slice(stops.indexOf(group) + 1).find((other) => !chosen(other) && !("optional" in other.dataset));
      (after ? one("input", after) : one(".deeds .primary", form))?.focus();
    };
    // What blocks takes the focus; else the first question, so that a read can begin with its first key.
    if (blocked) blocked.focus();
    else one("input", groups[0])?.focus({ preventScroll: true });

    // Inside a group of choices one letter chooses and goes on to the next open item.
    form.addEventListener("keydown", (event) => {
      const group = event.target.closest?.("fieldset[data-field]");
      if (!group || event.target.type !== "radio" || event.ctrlKey || event.altKey || event.metaKey) return;
      const pick = all("input[type=radio]", group).find((input) => input.dataset.key === event.key.toUpperCase());
      if (!pick) return;
      event.preventDefault();
      pick.checked = true;
      pick.dispatchEvent(new Event("input", { bubbles: true }));
      const why = one(".why-ne select", group);
      if (pick.value === "NE" && why) why.focus(); else next(group);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      if (!event.ctrlKey && !event.metaKey) {
        if (event.target.tagName === "INPUT") event.preventDefault();  // else it would press the first button: a lock
        return;
      }
      event.preventDefault();
      form.requestSubmit(one(".deeds .primary", form));
    });

    // "Copy the draft" is one deliberate deed; it fills what is empty and leaves what was chosen.
    one("#copy-draft")?.addEventListener("click", () => {
      let copied = 0;
      for (const group of groups) {
        const draft = one(".draft[data-value]", group);
        const same = draft && all("input[type=radio]", group).find((input) => input.value === draft.dataset.value);
        if (!same || chosen(group)) continue;
        same.checked = true;
        copied += 1;
      }
      for (const input of all("input[data-draft]", form)) if (!input.value) { input.value = input.dataset.draft; copied += 1; }
      typed ||= copied > 0;
      show();
      say(`Draft copied to ${copied} ${copied === 1 ? "field" : "fields"} that ${copied === 1 ? "was" : "were"} empty. Check each before you save.`);
    });

    // A page that was left cannot be come back to with what was typed: ask first whether the room still answers.
    let answers = false;
    form.addEventListener("submit", async (event) => {
      const pressed = event.submitter;
      if (!answers) {
        event.preventDefault();
        if (form.ariaBusy === "true") return;
        form.ariaBusy = "true";
        const left = await stay();
        form.ariaBusy = "false";
        if (!left) return;
        answers = true;
        form.requestSubmit(pressed);
        return;
      }
      typed = false;
      say("Saving …");
      setTimeout(() => { for (const button of all(".deeds button", form)) button.disabled = true; });  // after its value was taken
    });
    addEventListener("pageshow", () => { answers = false; for (const button of all(".deeds button", form)) button.disabled = false; });
    addEventListener("beforeunload", (event) => { if (typed) event.preventDefault(); });
  }

  // A button beside an item shows the finding that it rests on, in the pictures.
  for (const button of all("[data-finding]")) {
    button.addEventListener("click", () => {
      const frame = one("#brain") ?? one(".pictures iframe");
      frame?.contentWindow.postMessage({ type: "lmresp-goto", finding: Number(button.dataset.finding) }, "*");
      say(`Finding ${button.dataset.finding} is shown in the pictures.`);
    });
  }

  const tabs = all("[role=tab]");
  const choose = (tab) => {
    for (const other of tabs) {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      const frame = document.getElementById(other.getAttribute("aria-controls"));
      frame.hidden = !on;
      if (on && !frame.src && frame.dataset.src) frame.src = frame.dataset.src;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const other = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      choose(other);
      other.focus();
    });
  }

  // The divider between pictures and form: drag it, or move it with the arrow keys.
  const main = one("main.split");
  const divider = one("[role=separator]");
  if (divider && main) {
    const limits = () => [320, Math.max(360, Math.round(innerWidth * 0.6))];
    const set = (width) => {
      const [low, high] = limits();
      const wide = Math.round(Math.min(Math.max(width, low), high));
      main.style.setProperty("--form-width", `${wide}px`);
      divider.setAttribute("aria-valuemin", low);
      divider.setAttribute("aria-valuemax", high);
      divider.setAttribute("aria-valuenow", wide);
      try { localStorage.setItem("lmresp-form-width", wide); } catch { /* the width is not kept then */ }
    };
    let kept = null;
    try { kept = Number(localStorage.getItem("lmresp-form-width")); } catch { /* the usual width then */ }
    set(kept || 470);
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(Number(divider.getAttribute("aria-valuenow")) + step);
    });
    divider.addEventListener("pointerdown", (event) => {
      divider.setPointerCapture(event.pointerId);
      for (const frame of all(".pictures iframe")) frame.style.pointerEvents = "none";
      const move = (at) => set(innerWidth - at.clientX - 5);
      divider.addEventListener("pointermove", move);
      divider.addEventListener("lostpointercapture", () => {
        divider.removeEventListener("pointermove", move);
        for (const frame of all(".pictures iframe")) frame.style.pointerEvents = "";
      }, { once: true });
    });
  }

  // Before the session ends the page says so, and one press stays.
  const box = one("#timeout");
  let timer = 0;
  const wait = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(() => { box.hidden = false; one("button", box).focus(); }, Math.max(seconds - Number(warn), 1) * 1000);
  };
  if (left && box) {
    one("button", box).addEventListener("click", async () => { if (await stay()) say("You stay signed in."); });
    wait(Number(left));
  }
})();
