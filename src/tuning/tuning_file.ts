import { InputError } from "../errors.ts";
import { type ChoosingOp, type VariantChoices, variantsByOp } from "../gpu/variant_choices.ts";
import { parseJson } from "../weights/byte_source.ts";

export const tuningFormat = "attnscope tuning 1";

/** The variant that an op takes for a shape class. */
export interface TunedVariant {
  variant: string;
  /** Median milliseconds of each candidate; a reader's help, not read back. */
  ms?: Record<string, number>;
}

/** What was measured on an adapter, as it stands in its file: by op, then by shape class. */
export interface Tuning {
  format: typeof tuningFormat;
  adapter: string;
  /** Choices hold for this driver alone. */
  driver: string;
  /** Of attnscope. */
  version: string;
  /** ISO 8601. */
  date: string;
  choices: Partial<Record<ChoosingOp, Record<string, TunedVariant>>>;
}

/** The file of a tuning: JSON with a line a shape class. */
export function formatTuning({ choices, ...head }: Tuning): string {
  const line = (name: string, value: unknown) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
  const ops = Object.entries(choices).map(([op, classes]) => {
    const lines = Object.entries(classes).map(([shapeClass, tuned]) => `      ${line(shapeClass, tuned)}`);
    return `    ${JSON.stringify(op)}: {\n${lines.join(",\n")}\n    }`;
  });
  return `{\n${Object.entries(head).map(([name, value]) => `  ${line(name, value)},\n`).join("")}  "choices": {\n${ops.join(",\n")}\n  }\n}\n`;
}

/** Reads the file of a tuning, which people may have edited. @throws InputError that names the place */
export function parseTuning(file: string, text: string): Tuning {
  const value = parseJson(file, text) as Partial<Tuning> | null;
  const fail = (fact: string): never => {
    throw new InputError(file, `${fact}; correct it, or run attnscope tune again`);
  };
  if (value?.format !== tuningFormat) fail(`is not an "${tuningFormat}"`);
  for (const name of ["adapter", "driver", "version", "date"] as const) if (typeof value?.[name] !== "string") fail(`${name} is not a text`);
  if (!isObject(value?.choices)) fail("choices is not an object");
  for (const [op, classes] of Object.entries((value as Tuning).choices)) {
    if (!Object.hasOwn(variantsByOp, op)) fail(`choices has an unknown op ${op}, not one of ${Object.keys(variantsByOp).join(", ")}`);
    if (!isObject(classes)) fail(`choices.${op} is not an object`);
    const variants: readonly unknown[] = variantsByOp[op as ChoosingOp];
    for (const [shapeClass, tuned] of Object.entries(classes)) {
      if (!variants.includes(tuned?.variant)) fail(`the variant of choices.${op}["${shapeClass}"] is ${JSON.stringify(tuned?.variant)}, not one of ${variants.join(", ")}`);
    }
  }
  return value as Tuning;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The choices of a tuning. Where a shape of a class cannot run the variant of the class, it takes its default. */
export function tunedChoices({ choices }: Pick<Tuning, "choices">): VariantChoices {
  return {
    chosen(op, shapeClass, candidates) {
      const classes = choices[op] ?? {};
      const tuned = Object.hasOwn(classes, shapeClass) ? classes[shapeClass].variant : undefined;
      return candidates.find((variant) => variant === tuned);
    },
  };
}
