// @ts-check
/**
 * `npm run train:phantom`: trains the shipped model from nothing on films that it draws, and puts it into weights/phantom.
 * Every step is a command of the program, printed as it could be typed; each goes on where an earlier call left it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { handOver, Stop } from "./process.mjs";

/** Seed of the training films; the 200 films of the evaluation come from the same seed's sets that are never trained on. */
const SEED = "1";
const FILMS = "8000";

/** Steps and rates. What is not named is the default of the command. */
const recipes = {
  encoder: ["--max-steps", "1500"],
  vae: ["--crop", "64", "--batch-size", "16", "--max-steps", "1200", "--save-every", "100"],
  // The middle and the noisy half of the schedule carry the grounding.
  unet: [
    "--batch-size", "32", "--accumulation-steps", "1", "--dtype", "f32", "--max-steps", "2500", "--save-every", "100",
    "--learning-rate", "2e-3", "--warmup-steps", "50", "--final-rate", "0.02",
    "--timesteps", "2.4,1.5", "--text-drop", "0.1", "--ema-decay", "0.995", "--validate-every", "500", "--validation-films", "40",
  ],
};

/** What is trained: the model's folder, without weights. */
const definition = join("scripts", "phantom");

/** Weights that are shipped, as f16: where the trained model has them, and their place in weights/phantom. */
const shippedWeights = [
  ["text_encoder/model.safetensors", "text_encoder/model.safetensors"],
  ["vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"],
  ["unet_ema/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.safetensors"],
];

/** Shipped films: the first of the test films, whose findings take turns. */
const SAMPLES = 16;

/**
 * @param {string} root of the package
 * @param {NodeJS.ProcessEnv} env
 * @param {string[]} args the folder of the run; default phantom-run
 * @returns {Promise<number>}
 */
export async function trainPhantom(root, env, [out = join(root, "phantom-run")]) {
  const shipped = join(root, "weights", "phantom");
  const [films, encoded, coded, latents, model] = ["films", "model-encoder", "model-vae", "latents", "model"].map((name) => join(out, name));
  const training = join(films, "mimic-cxr-jpg");
  const test = join(films, "ms-cxr");
  mkdirSync(out, { recursive: true });

  /** @param {string[]} command */
  const attnscope = async (...command) => {
    console.error(`\n$ attnscope ${command.map((word) => (existsSync(word) ? relative(process.cwd(), word) || "." : word)).join(" ")}`);
    const code = await handOver(process.execPath, [join(root, "bin", "attnscope.mjs"), ...command], { cwd: root, env });
    if (code !== 0) throw new Stop("stopped; the same command goes on from here", code);
  };
  /** @param {string} name */
  const run = (name) => ["--out", join(out, `${name}-run`), "--resume", "latest", "--from-scratch"];

  await attnscope("data", "phantom", "--count", FILMS, "--seed", SEED, "--out", films);
  await attnscope("train", "encoder", "--model", join(root, definition), "--data", training, ...run("encoder"), ...recipes.encoder, "--save-model", encoded);
  await attnscope("train", "vae", "--model", encoded, "--data", training, ...run("vae"), ...recipes.vae, "--save-model", coded);
  await attnscope("train", "standardise", "--model", coded, "--data", training);
  await attnscope("data", "precompute", training, "--model", coded, "--out", latents);
  await attnscope("train", "unet", "--model", coded, "--data", latents, ...run("unet"), ...recipes.unet, "--validation", test, "--save-model", model);

  cpSync(join(root, definition), shipped, { recursive: true });
  for (const [from, to] of shippedWeights) {
    await attnscope("weights", "convert", join(model, from), join(shipped, to), "--dtype", "f16");
  }
  copySamples(test, join(shipped, "samples"));
  return 0;
}

/**
 * Copies the first films of a test set, with their phrases and boxes.
 * @param {string} test folder in the MS-CXR layout with `phantom.jsonl`
 * @param {string} samples
 */
function copySamples(test, samples) {
  rmSync(samples, { recursive: true, force: true });
  mkdirSync(samples);
  const lines = readFileSync(join(test, "phantom.jsonl"), "utf8").trim().split("\n").slice(0, SAMPLES);
  const entries = lines.map((line, i) => {
    const { path, caption, findings: [{ label, phrase, boxes }] } = JSON.parse(line);
    const image = `film_${String(i).padStart(2, "0")}.png`;
    cpSync(join(test, path), join(samples, image));
    return { image, label, phrase, boxes_xywh: boxes, caption };
  });
  writeFileSync(join(samples, "films.json"), `${JSON.stringify(entries, undefined, 1)}\n`);
}
