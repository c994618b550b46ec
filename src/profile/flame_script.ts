/** Lets the flame graph enlarge the frame that is clicked. Plain JavaScript; without it the page shows all the same. */
export const flameScript = `
const flame = document.querySelector(".flame");
if (flame) {
  const width = Number(flame.dataset.width);
  const chosen = document.querySelector(".chosen");
  const frames = [...flame.querySelectorAll("g")].map((element) => ({
    element,
    rect: element.querySelector("rect"),
    text: element.querySelector("text"),
    x: Number(element.dataset.x),
    w: Number(element.dataset.w),
    depth: Number(element.dataset.depth),
    name: element.dataset.name,
  }));
  const enlarge = (target) => {
    for (const { element, rect, text, x, w, depth, name } of frames) {
      const around = depth < target.depth && x <= target.x + 1e-9 && x + w >= target.x + target.w - 1e-9;
      const left = around ? 0 : (x - target.x) / target.w;
      const across = around ? 1 : w / target.w;
      const shown = around || (depth >= target.depth && left > -1e-6 && left + across < 1 + 1e-6);
      element.style.display = shown ? "" : "none";
      element.style.opacity = around && depth < target.depth ? 0.6 : 1;
      rect.setAttribute("x", left * width);
      rect.setAttribute("width", across * width);
      text.setAttribute("x", left * width + 4);
      const letters = Math.floor((across * width - 6) / 6.3);
      text.textContent = letters >= name.length ? name : letters >= 4 ? name.slice(0, letters - 1) + "…" : "";
    }
  };
  for (const frame of frames) {
    frame.element.addEventListener("click", () => enlarge(frame));
    frame.element.addEventListener("mouseenter", () => {
      chosen.textContent = frame.element.querySelector("title").textContent.replace("\\n", ": ");
      for (const other of frames) other.element.classList.toggle("same", other.name === frame.name);
    });
  }
}
`;
