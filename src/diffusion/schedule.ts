import { InputError } from "../errors.ts";
import { type Config, ConfigReader } from "../config.ts";

/** What the network predicts. */
export type PredictionType = "epsilon" | "v_prediction" | "sample";

type BetaSchedule = "linear" | "scaled_linear" | "squaredcos_cap_v2";
type TimestepSpacing = "leading" | "trailing" | "linspace";

const settings = [
  "num_train_timesteps",
  "beta_start",
  "beta_end",
  "beta_schedule",
  "trained_betas",
  "clip_sample",
  "clip_sample_range",
  "set_alpha_to_one",
  "steps_offset",
  "prediction_type",
  "thresholding",
  "timestep_spacing",
  "rescale_betas_zero_snr",
];

/** Settings without effect on DDIM: one of PNDM, found in Stable Diffusion checkpoints, and two of `thresholding`. */
const idleSettings = ["skip_prk_steps", "dynamic_thresholding_ratio", "sample_max_value"];

/**
 * The deterministic DDIM schedule of a scheduler_config.json (eta 0), with diffusers' defaults. Betas and alphas have the
 * values that diffusers' float32 arithmetic gives.
 */
export class Schedule {
  /** `num_train_timesteps`, default 1000: timesteps are integers from 0 to one less. */
  readonly trainTimesteps: number;
  /** `prediction_type`, default "epsilon": what the U-Net's output stands for. */
  readonly predictionType: PredictionType;
  /** Cumulative products of 1 - beta, one a training timestep; float32 values. */
  readonly alphasCumprod: Float32Array;
  readonly #finalAlpha: number;
  readonly #stepsOffset: number;
  readonly #spacing: TimestepSpacing;
  readonly #clipRange: number;

  /** `file` is named in errors. Throws InputError for a setting that is unknown or not implemented, naming it. */
  constructor(file: string, config: Config) {
    const read = new ConfigReader(file, config);
    for (const key of Object.keys(config)) {
      if (key.startsWith("_") || settings.includes(key) || idleSettings.includes(key)) continue;
      read.fail(key, "is not a setting of the DDIM scheduler; use a checkpoint with a DDIM or PNDM scheduler, or remove it");
    }
    read.only({
      thresholding: [false],
      rescale_betas_zero_snr: [false],
      beta_schedule: ["linear", "scaled_linear", "squaredcos_cap_v2"],
      prediction_type: ["epsilon", "v_prediction", "sample"],
      timestep_spacing: ["leading", "trailing", "linspace"],
    });
    this.trainTimesteps = read.number("num_train_timesteps", 1000);
    this.predictionType = read.string("prediction_type", "epsilon") as PredictionType;
    this.alphasCumprod = cumulativeAlphas(readBetas(read, this.trainTimesteps));
    this.#finalAlpha = read.boolean("set_alpha_to_one", true) ? 1 : this.alphasCumprod[0];
    this.#stepsOffset = read.number("steps_offset", 0);
    this.#spacing = read.string("timestep_spacing", "leading") as TimestepSpacing;
    this.#clipRange = read.boolean("clip_sample", true) ? read.number("clip_sample_range", 1) : largestFloat;
  }

  /** The timesteps of a sampler of `steps` steps, from noise to image. Throws InputError where there are none. */
  timesteps(steps: number): number[] {
    const train = this.trainTimesteps;
    if (!Number.isInteger(steps) || steps < 1 || steps > train) throw new InputError("steps", `${steps} is not an integer from 1 to ${train}`);
    const timesteps = spacings[this.#spacing](train, steps, this.#stepsOffset);
    if (timesteps[0] >= train) throw new InputError("steps", `${steps} steps start at timestep ${timesteps[0]}, the model has ${train}; use fewer steps`);
    return timesteps;
  }

  /** Noising to timestep t is sqrtAlpha z + sqrtOneMinusAlpha noise; the velocity is sqrtAlpha noise - sqrtOneMinusAlpha z. */
  noiseCoefficients(timestep: number): { sqrtAlpha: number; sqrtOneMinusAlpha: number } {
    const alpha = this.#alpha(timestep);
    return { sqrtAlpha: Math.sqrt(alpha), sqrtOneMinusAlpha: Math.sqrt(1 - alpha) };
  }

  /**
   * The seven numbers of `ddimStep` for the step from `timestep` to the next of a sampler of `steps` steps:
   * x0 from x and output, epsilon from x and output, x_prev from x0 and epsilon, and the bound of x0.
   */
  stepCoefficients(timestep: number, steps: number): Float32Array<ArrayBuffer> {
    const { sqrtAlpha: a, sqrtOneMinusAlpha: s } = this.noiseCoefficients(timestep);
    const previous = timestep - Math.floor(this.trainTimesteps / steps);
    const alphaPrevious = previous >= 0 ? this.#alpha(previous) : this.#finalAlpha;
    const parts = {
      epsilon: [1 / a, -s / a, 0, 1],
      v_prediction: [a, -s, s, a],
      sample: [0, 1, 1 / s, -a / s],
    }[this.predictionType];
    return Float32Array.of(...parts, Math.sqrt(alphaPrevious), Math.sqrt(1 - alphaPrevious), this.#clipRange);
  }

  #alpha(timestep: number): number {
    const alpha = this.alphasCumprod[timestep];
    if (alpha === undefined) throw new InputError("timestep", `${timestep} is not an integer from 0 to ${this.trainTimesteps - 1}`);
    return alpha;
  }
}

/** A bound that clips nothing. */
const largestFloat = 3e38;

const spacings: Record<TimestepSpacing, (train: number, steps: number, offset: number) => number[]> = {
  leading: (train, steps, offset) => Array.from({ length: steps }, (_, i) => (steps - 1 - i) * Math.floor(train / steps) + offset),
  trailing: (train, steps) => Array.from({ length: steps }, (_, i) => roundEven(train - (i * train) / steps) - 1),
  linspace: (train, steps) => Array.from({ length: steps }, (_, i) => (steps === 1 ? 0 : roundEven(((steps - 1 - i) * (train - 1)) / (steps - 1)))),
};

/** To the nearest integer, halves to the even one: numpy's round. */
function roundEven(value: number): number {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

function readBetas(read: ConfigReader, count: number): Float32Array {
  if (read.config.trained_betas) {
    const betas = read.numbers("trained_betas");
    if (betas.length !== count) read.fail("trained_betas", `has ${betas.length} values, needs num_train_timesteps = ${count}`);
    return Float32Array.from(betas);
  }
  const start = read.number("beta_start", 0.0001);
  const end = read.number("beta_end", 0.02);
  switch (read.string("beta_schedule", "linear") as BetaSchedule) {
    case "linear":
      return linspace(start, end, count);
    case "scaled_linear":
      return linspace(Math.sqrt(start), Math.sqrt(end), count).map((root) => root * root);
    case "squaredcos_cap_v2": {
      const alphaBar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Float32Array.from({ length: count }, (_, i) => Math.min(1 - alphaBar((i + 1) / count) / alphaBar(i / count), 0.999));
    }
  }
}

/** torch.linspace in float32: from both ends to the middle. */
function linspace(start: number, end: number, count: number): Float32Array {
  const round = Math.fround;
  const first = round(start);
  const last = round(end);
  const step = round(round(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) => (i < count / 2 ? round(first + round(step * i)) : round(last - round(step * (count - 1 - i)))));
}

/** torch.cumprod of the float32 values 1 - beta: the running product is a double, what it stores is float32. */
function cumulativeAlphas(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => (product *= Math.fround(1 - beta)));
}
