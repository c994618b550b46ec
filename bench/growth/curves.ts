import { MemoryBiasStore } from "../../src/grounding/phrase_bias.ts";
import type { Fit } from "./fit.ts";
import { type Subject, type Work, grounding, latentSide, onOneFilm, phraseOf, phrasePass, unetPass } from "./works.ts";

/** What a curve is about. */
export interface CurveFacts {
  id: string;
  title: string;
  /** What was run. */
  note: string;
  /** One of what x counts. */
  unit: string;
  xLabel: string;
  xScale: "linear" | "log";
  yScale: "linear" | "log";
  /** Where the time of one unit, ms / x, is shown: in a column of the table, or in the chart too. */
  perUnit?: "table" | "chart";
  /** What the times are expected to follow. */
  law: Fit["law"];
}

/** One line of a curve: works of growing x, made ready when they are measured. */
export interface SeriesWork {
  name: string;
  x: readonly number[];
  open: (x: number) => Work;
}

/** A curve: how the time of some work grows with one of its sizes. */
export interface Curve extends CurveFacts {
  series: (subject: Subject) => readonly SeriesWork[];
}

/** Timesteps of the groundings whose other sizes grow. */
const steps = 10;

/** All curves. */
export const curves: readonly Curve[] = [
  {
    id: "batch",
    title: "Latents in one pass of the U-Net",
    note: "Whole forward passes, 32 x 32 latents, one phrase for all.",
    unit: "item", xLabel: "latents of a pass", xScale: "log", yScale: "log", perUnit: "table", law: "line",
    series: (subject) => [{ name: "U-Net", x: [1, 2, 4, 8, 16, 32], open: (batch) => unetPass(subject, { batch, side: latentSide(subject.ldm) }) }],
  },
  {
    id: "timesteps",
    title: "Timesteps of a grounding",
    note: "One phrase in one film, mode gt; with its text bias sampled anew, and with one that was kept from an earlier call.",
    unit: "timestep", xLabel: "timesteps", xScale: "linear", yScale: "linear", perUnit: "table", law: "line",
    series: (subject) => {
      const x = [1, 2, 5, 10, 20, 50];
      const requests = subject.requests.slice(0, 1);
      return [
        { name: "text bias sampled", x, open: (count) => grounding(subject, requests, { steps: count }) },
        { name: "text bias kept", x, open: (count) => grounding(subject, requests, { steps: count, store: new MemoryBiasStore() }) },
      ];
    },
  },
  {
    id: "phrases",
    title: "Phrases that share an image",
    note: `One call, mode gt, ${steps} timesteps. No text bias is kept: every phrase's is sampled in every run.`,
    unit: "phrase", xLabel: "phrases of a call", xScale: "log", yScale: "linear", perUnit: "chart", law: "line",
    series: (subject) => {
      const x = [1, 2, 4, 8, 16];
      return [
        { name: "all on one film", x, open: (count) => grounding(subject, onOneFilm(subject, count), { steps }) },
        { name: "a film each", x, open: (count) => grounding(subject, subject.requests.slice(0, count), { steps }) },
      ];
    },
  },
  {
    id: "side",
    title: "Side of the latent",
    note: "Whole forward passes of the U-Net on one latent. Convolutions grow with the square of the side, self-attention with its fourth power; at small sides the fixed cost of a pass shows, so that the exponent over the whole range may lie below 2.",
    unit: "side", xLabel: "side of the latent", xScale: "log", yScale: "log", law: "power",
    series: (subject) => [{ name: "U-Net", x: [16, 32, 48, 64, 96], open: (side) => unetPass(subject, { batch: 1, side }) }],
  },
  {
    id: "words",
    title: "Words of a phrase",
    note: `Groundings: mode gt, ${steps} timesteps, text bias sampled anew; phrases are padded to the encoder's 32 positions. The pass: text encoder, keys and values and U-Net, with no more keys than the phrase has tokens (two more than words).`,
    unit: "word", xLabel: "words", xScale: "linear", yScale: "linear", law: "line",
    series: (subject) => {
      const x = [1, 2, 4, 8, 16, 24, subject.ldm.tokenizer.length - 2];
      const ask = (count: number) => [{ film: subject.requests[0].film, phrase: phraseOf(subject, count) }];
      return [
        { name: "a grounding", x, open: (count) => grounding(subject, ask(count), { steps, tokens: "all" }) },
        { name: "with a map for every word", x, open: (count) => grounding(subject, ask(count), { steps, tokens: "all", perWord: true }) },
        { name: "a pass, not padded", x, open: (count) => phrasePass(subject, phraseOf(subject, count)) },
      ];
    },
  },
];
