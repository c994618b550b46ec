// Where does a phrase point in a film? Type: node ground.mjs [MODEL] [FILM] [PHRASE]
import { loadPipeline, openGpu, readFilm } from "attnscope";
import { fileURLToPath } from "node:url";

const shipped = fileURLToPath(new URL("weights/phantom", import.meta.resolve("attnscope/package.json")));
const [model = shipped, image = `${shipped}/samples/film_05.png`, phrase = "moderate pleural effusion on the left"] = process.argv.slice(2);

const gpu = await openGpu();
const pipeline = await loadPipeline(gpu, model);
const { regions, argmax, side } = await pipeline.ground(await readFilm(image), phrase, { steps: 10 });
console.log(JSON.stringify({ phrase, peak: { x: argmax.x / side, y: argmax.y / side }, regions: regions.map(({ box }) => box) }));
gpu.close();
