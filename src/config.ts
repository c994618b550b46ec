import { InputError } from "./errors.ts";

/** A parsed config.json. */
export type Config = Readonly<Record<string, unknown>>;

/** Reads typed values from a config.json; every error names the file and the key. */
export class ConfigReader {
  readonly file: string;
  readonly config: Config;

  constructor(file: string, config: Config) {
    this.file = file;
    this.config = config;
  }

  fail(key: string, fact: string): never {
    throw new InputError(this.file, `${key} ${fact}`);
  }

  number(key: string, fallback?: number): number {
    const value = this.config[key] ?? fallback;
    if (typeof value !== "number") this.fail(key, `is ${JSON.stringify(value) ?? "missing"}, needs a number`);
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.config[key] ?? fallback;
    if (typeof value !== "string") this.fail(key, `is ${JSON.stringify(value) ?? "missing"}, needs a string`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.config[key] ?? fallback;
    if (typeof value !== "boolean") this.fail(key, `is ${JSON.stringify(value)}, needs true or false`);
    return value;
  }

  numbers(key: string): number[] {
    const value = this.config[key];
    if (!Array.isArray(value) || value.length === 0 || value.some((item) => typeof item !== "number")) this.fail(key, "must be a list of numbers");
    return value as number[];
  }

  strings(key: string): string[] {
    const value = this.config[key];
    if (!Array.isArray(value) || value.length === 0 || value.some((item) => typeof item !== "string")) this.fail(key, "must be a list of strings");
    return value as string[];
  }

  /** A number for every level: given once, or as a list of `levels`. */
  perLevel(key: string, levels: number, fallback?: number): number[] {
    const value = this.config[key] ?? fallback;
    if (typeof value === "number") return Array<number>(levels).fill(value);
    const list = this.numbers(key);
    if (list.length !== levels) this.fail(key, `has ${list.length} entries, needs ${levels}`);
    return list;
  }

  /** Throws unless every key is absent, null or one of the values that are implemented. */
  only(supported: Readonly<Record<string, readonly unknown[]>>): void {
    for (const [key, values] of Object.entries(supported)) {
      const value = this.config[key];
      if (value === undefined || value === null || values.includes(value)) continue;
      const known = values.length > 0 ? values.map((item) => JSON.stringify(item)).join(" or ") : "null";
      this.fail(key, `is ${JSON.stringify(value)}; supported: ${known}`);
    }
  }
}
