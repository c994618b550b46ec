import { InvalidArgumentError } from "commander";

/** A number, as an option's value. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It is not a number.");
  return value;
}

/** A whole number of `least` or more, in digits, as an option's value. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) throw new InvalidArgumentError(`It is not a whole number of ${least} or more.`);
    return value;
  };
}

/** A share of a whole, as an option's value. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1)) throw new InvalidArgumentError("It is not a share from 0 to 1.");
  return value;
}
