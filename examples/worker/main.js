// The worker computes; this page only draws each map as it grows.
import { startWorker } from "attnscope/worker";

const [status, canvas] = ["[role=status]", "canvas"].map((name) => document.querySelector(name));
const worker = startWorker();
const pipeline = await worker.loadPipeline(await worker.openGpu(), "model");
const film = await worker.decodeFilm(new Uint8Array(await (await fetch("model/samples/film_05.png")).arrayBuffer()), "film_05.png");

for await (const { map, done, total, result } of pipeline.groundStream(film, "moderate pleural effusion on the left", { steps: 10 })) {
  const side = Math.sqrt(map.length);
  const grey = new ImageData(side, side);
  for (const [i, value] of map.entries()) grey.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i);
  Object.assign(canvas, { width: side, height: side }).getContext("2d").putImageData(grey, 0, 0);
  status.textContent = result ? `Greatest at ${result.argmax.x}, ${result.argmax.y} of ${side} x ${side}.` : `${done} of ${total}`;
}
