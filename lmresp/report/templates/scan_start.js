// First the images of the first view, then everything else on demand.

async function start() {
  listen();
  buttons();
  arrange();
  await Promise.all(page.first.map(load));
  drawAll();
  document.documentElement.dataset.ready = Math.round(performance.now());
}

start().catch(error => {
  // Without DecompressionStream or canvas the pictures made beforehand are shown instead.
  document.documentElement.classList.add("pictures");
  document.documentElement.dataset.failed = String(error);
});
