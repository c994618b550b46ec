import { decodeFilm, loadPipeline, openGpu } from "attnscope";

const [form, status, canvas] = ["form", "[role=status]", "canvas"].map((name) => document.querySelector(name));
const pipeline = await loadPipeline(await openGpu(), "/model");
status.textContent = "Choose a film.";
form.querySelector("button").disabled = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = form.querySelector("[type=file]").files;
  const film = await decodeFilm(new Uint8Array(await file.arrayBuffer()), file.name);
  const onProgress = ({ stage, done, total }) => { status.textContent = `${stage}: ${done} of ${total}`; };
  const result = await pipeline.ground(film, form.elements.phrase.value, { steps: 10, onProgress });
  const { width, height, data } = result.overlay({ alpha: 0.3 });
  Object.assign(canvas, { width, height }).getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  status.textContent = `Greatest at ${result.argmax.x}, ${result.argmax.y} of ${result.side} x ${result.side}.`;
});
