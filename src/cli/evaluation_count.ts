import type { GroundSettings } from "../grounding/options.ts";
import type { GroundProgress } from "../grounding/pipeline.ts";
import type { FilmTask } from "./film_tasks.ts";
import { type CallItem, evaluationsPerMap } from "./ground_work.ts";

/** Counts the U-Net evaluations of a run over all its calls. What turns out to be cached is taken off the total. */
export class EvaluationCount {
  readonly #perMap: { main: number; bias: number };
  readonly #seen = new Set<string>();
  #total: number;
  #finished = 0;
  #present = 0;
  #main = 0;
  #bias = 0;

  constructor(tasks: readonly FilmTask[], settings: GroundSettings) {
    this.#perMap = evaluationsPerMap(settings);
    const phrases = tasks.flatMap((task) => task.phrases);
    this.#total = phrases.length * this.#perMap.main + new Set(phrases).size * this.#perMap.bias;
  }

  get done(): number {
    return this.#finished + this.#present;
  }

  get total(): number {
    return this.#total;
  }

  /** Begins a call. A phrase's text bias is made when it is met first. */
  begin(items: readonly CallItem[]): void {
    const fresh = new Set(items.map(({ phrase }) => phrase).filter((phrase) => !this.#seen.has(phrase)));
    for (const phrase of fresh) this.#seen.add(phrase);
    this.#main = items.length * this.#perMap.main;
    this.#bias = fresh.size * this.#perMap.bias;
  }

  /** `done` of the stage that runs. */
  update({ stage, done }: GroundProgress): void {
    if (stage === "main pass") this.#present = done;
    if (stage === "text bias") this.#present = this.#main + done;
  }

  /** Ends a call that took `actual` evaluations. */
  end(actual: number): void {
    this.#total -= this.#main + this.#bias - actual;
    this.#finished += actual;
    this.#present = 0;
  }
}
