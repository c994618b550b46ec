import { Schedule } from "../diffusion/schedule.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Config } from "../config.ts";
import { addNoise, ddimStep } from "../ops/diffusion.ts";
import { full } from "../ops/fill.ts";
import type { Tensor } from "../tensor.ts";
import { readJson } from "../weights/byte_source.ts";
import { formulaBound } from "./bounds.ts";
import { type Golden, companion, onDevice, upload } from "./context.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { type Part, exactPart, relativePart } from "./parts.ts";

const schedulerFile = "scheduler_config.json";

/** The schedule: timesteps, alphas, DDIM steps by prediction type, noising, velocity. */
export const ddimGolden: Golden = {
  name: "ddim",
  paths: ["ddim.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const folder = companion(context, "tiny_ldm/scheduler");
    const config = (await readJson(folder, schedulerFile)) as Config;
    const scheduleFor = (prediction_type: string) => new Schedule(`${folder.name}/${schedulerFile}`, { ...config, prediction_type });
    return [...scheduleParts(golden, scheduleFor("epsilon")), ...(await tensorParts(context.gpu, golden, scheduleFor))];
  },
};

function scheduleParts(golden: GoldenFile, schedule: Schedule): Part[] {
  const timesteps = Object.entries(golden.fact<Record<string, number[]>>("timesteps"));
  const alphas = Object.entries(golden.fact<Record<string, number>>("alphas_cumprod"));
  return [
    ...timesteps.map(([steps, expected]) => exactPart(`timesteps of ${steps}`, schedule.timesteps(Number(steps)), expected)),
    relativePart("alphas_cumprod", alphas.map(([t]) => schedule.alphasCumprod[Number(t)]), alphas.map(([, alpha]) => alpha), formulaBound),
  ];
}

/** The steps that "one DDIM step of 50" counts. */
function stepsOf(golden: GoldenFile): number {
  const [, steps] = /DDIM step of (\d+)/.exec(golden.fact<string>("note")) ?? [];
  return Number(steps ?? 50);
}

async function tensorParts(gpu: Gpu, golden: GoldenFile, scheduleFor: (prediction: string) => Schedule): Promise<Part[]> {
  const steps = stepsOf(golden);
  const parts: Part[] = [];
  for (const [name, { data }] of golden.tensors) {
    const [what, t] = /^(.+)\.(\d+)$/.exec(name)?.slice(1) ?? [];
    if (what === undefined) continue;
    const formula = what.endsWith(".step") ? stepFormula(scheduleFor(what.slice(0, -5)), Number(t), steps) : noiseFormula(scheduleFor("epsilon"), what, Number(t));
    const input = (key: string) => upload(gpu, golden.tensor(`in.${key}`));
    const { result } = await onDevice(gpu, () => ({ result: formula(input) }));
    parts.push(relativePart(name, result.data, data, formulaBound));
  }
  return parts;
}

type Formula = (input: (key: string) => Tensor) => Tensor;

function stepFormula(schedule: Schedule, timestep: number, steps: number): Formula {
  return (input) => {
    const x = input("x");
    return ddimStep(x, input("model_output"), x.gpu.tensor(schedule.stepCoefficients(timestep, steps), [7]));
  };
}

/** Noising, or the velocity: noising with the roles of sample and noise exchanged and a minus sign. */
function noiseFormula(schedule: Schedule, what: string, timestep: number): Formula {
  const { sqrtAlpha, sqrtOneMinusAlpha } = schedule.noiseCoefficients(timestep);
  return (input) => {
    const [x, noise] = [input("x"), input("noise")];
    const each = (value: number) => full(x.gpu, [x.shape[0]], value);
    if (what === "velocity") return addNoise(noise, x, { sqrtAlpha: each(sqrtAlpha), sqrtOneMinusAlpha: each(-sqrtOneMinusAlpha) });
    return addNoise(x, noise, { sqrtAlpha: each(sqrtAlpha), sqrtOneMinusAlpha: each(sqrtOneMinusAlpha) });
  };
}
