import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Schedule } from "../src/diffusion/schedule.ts";
import { InputError } from "../src/errors.ts";
import { addNoise, ddimStep } from "../src/ops/diffusion.ts";
import type { Tensor } from "../src/tensor.ts";
import { testGpu } from "../shaders-test/harness.ts";
import { readGolden, relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();

/** The settings of Stable Diffusion 1.x, as its checkpoints state them for PNDM. */
const pndm = {
  _class_name: "PNDMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
  clip_sample: false,
};

const scheduleOf = (changes: object = {}) => new Schedule("scheduler_config.json", { ...pndm, ...changes });

function goldenSchedule(changes: object = {}): Schedule {
  const config = JSON.parse(readFileSync(sharedPath("goldens/tiny_ldm/scheduler/scheduler_config.json")!, "utf8")) as object;
  return new Schedule("scheduler_config.json", { ...config, ...changes });
}

const needsGolden = needsShared("goldens/ddim.safetensors");

test("timesteps and alphas are those of diffusers", needsGolden, async () => {
  const { metadata } = await readGolden("goldens/ddim.safetensors");
  const schedule = goldenSchedule();
  for (const [steps, timesteps] of Object.entries(JSON.parse(metadata.timesteps) as Record<string, number[]>)) {
    assert.deepEqual(schedule.timesteps(Number(steps)), timesteps);
  }
  for (const [timestep, alpha] of Object.entries(JSON.parse(metadata.alphas_cumprod) as Record<string, number>)) {
    assert.equal(schedule.alphasCumprod[Number(timestep)], alpha);
  }
});

test("DDIM steps, noising and velocity on the device are those of diffusers", needsGolden, async () => {
  const { tensors } = await readGolden("goldens/ddim.safetensors");
  const upload = (name: string) => gpu.tensor(tensors.get(name)!.data, tensors.get(name)!.shape);
  const [x, output, noise] = ["in.x", "in.model_output", "in.noise"].map(upload);
  const agree = async (name: string, actual: Tensor) => {
    const error = relativeError(await actual.read(), tensors.get(name)!.data);
    assert.ok(error <= 1e-5, `${name}: relative error ${error}`);
  };
  for (const name of tensors.keys()) {
    const [kind, ...rest] = name.split(".");
    const timestep = Number(rest.at(-1));
    if (kind === "epsilon" || kind === "v_prediction") {
      const coefficients = goldenSchedule({ prediction_type: kind }).stepCoefficients(timestep, 50);
      await agree(name, ddimStep(x, output, gpu.tensor(coefficients, [7])));
    } else if (kind === "add_noise" || kind === "velocity") {
      const { sqrtAlpha, sqrtOneMinusAlpha } = goldenSchedule().noiseCoefficients(timestep);
      const scalar = (value: number) => gpu.tensor(Float32Array.of(value), [1]);
      const noised = addNoise(x, noise, { sqrtAlpha: scalar(sqrtAlpha), sqrtOneMinusAlpha: scalar(sqrtOneMinusAlpha) });
      const velocity = addNoise(noise, x, { sqrtAlpha: scalar(sqrtAlpha), sqrtOneMinusAlpha: scalar(-sqrtOneMinusAlpha) });
      await agree(name, kind === "velocity" ? velocity : noised);
    }
  }
});

test("a step of the true noise leads to the same image at the next timestep", () => {
  // x_t = a z + s e; the network that knows e, v or z must give x at the previous timestep from the same z and e.
  const [z, e] = [0.7, -1.3];
  for (const type of ["epsilon", "v_prediction", "sample"]) {
    const schedule = scheduleOf({ prediction_type: type });
    const { sqrtAlpha: a, sqrtOneMinusAlpha: s } = schedule.noiseCoefficients(501);
    const previous = schedule.noiseCoefficients(481);
    const output = { epsilon: e, v_prediction: a * e - s * z, sample: z }[type]!;
    const c = schedule.stepCoefficients(501, 50);
    const x = a * z + s * e;
    const next = c[4] * (c[0] * x + c[1] * output) + c[5] * (c[2] * x + c[3] * output);
    assert.ok(Math.abs(next - (previous.sqrtAlpha * z + previous.sqrtOneMinusAlpha * e)) < 1e-6, type);
  }
});

test("the last step leads to the first alpha, or to 1 where the config says so", () => {
  assert.equal(scheduleOf().stepCoefficients(1, 50)[4], Math.fround(Math.sqrt(scheduleOf().alphasCumprod[0])));
  const last = scheduleOf({ set_alpha_to_one: true }).stepCoefficients(1, 50);
  assert.deepEqual([last[4], last[5]], [1, 0]);
});

test("timestep spacings", () => {
  assert.deepEqual(scheduleOf({ timestep_spacing: "trailing" }).timesteps(10), [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]);
  assert.deepEqual(scheduleOf({ timestep_spacing: "trailing" }).timesteps(3), [999, 666, 332]);
  assert.deepEqual(scheduleOf({ timestep_spacing: "linspace" }).timesteps(5), [999, 749, 500, 250, 0]); // 499.5 rounds to even
  assert.deepEqual(scheduleOf({ timestep_spacing: "linspace" }).timesteps(1), [0]);
  assert.equal(scheduleOf({ steps_offset: 0 }).timesteps(1000)[0], 999);
});

test("beta schedules", () => {
  const ends = (changes: object) => {
    const alphas = scheduleOf(changes).alphasCumprod;
    return [1 - alphas[0], alphas[999] / alphas[998]];
  };
  const near = (actual: number[], expected: number[]) => actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-4, `${actual}`));
  near(ends({ beta_schedule: "linear" }), [0.00085, 1 - 0.012]);
  near(ends({ beta_schedule: "scaled_linear" }), [0.00085, 1 - 0.012]);
  near(ends({ beta_schedule: "squaredcos_cap_v2" }), [4.1e-5, 1 - 0.999]);
  near(ends({ trained_betas: Array<number>(1000).fill(0.01) }), [0.01, 0.99]);
});

test("clipping bounds x0 by the config's range, and by nothing without it", () => {
  assert.equal(scheduleOf({ clip_sample: true }).stepCoefficients(501, 50)[6], 1);
  assert.equal(scheduleOf({ clip_sample: true, clip_sample_range: 2.5 }).stepCoefficients(501, 50)[6], 2.5);
  assert.ok(scheduleOf().stepCoefficients(501, 50)[6] > 1e38);
});

test("what is unknown or not implemented is refused by name", () => {
  const refused = (run: () => unknown, message: RegExp) => assert.throws(run, (error) => error instanceof InputError && message.test(error.message));
  refused(() => scheduleOf({ final_sigmas_type: "zero" }), /^scheduler_config.json: final_sigmas_type/);
  refused(() => scheduleOf({ thresholding: true }), /thresholding is true/);
  refused(() => scheduleOf({ rescale_betas_zero_snr: true }), /rescale_betas_zero_snr/);
  refused(() => scheduleOf({ beta_schedule: "sigmoid" }), /beta_schedule is "sigmoid"/);
  refused(() => scheduleOf({ prediction_type: "flow" }), /prediction_type/);
  refused(() => scheduleOf({ timestep_spacing: "karras" }), /timestep_spacing/);
  refused(() => scheduleOf({ trained_betas: [0.1] }), /trained_betas has 1 values/);
  refused(() => scheduleOf({ beta_start: "x" }), /beta_start/);
  refused(() => scheduleOf().timesteps(0), /steps: 0/);
  refused(() => scheduleOf().timesteps(1000), /start at timestep 1000/);
  refused(() => scheduleOf().noiseCoefficients(1000), /timestep: 1000/);
});
