import assert from "node:assert/strict";
import { test } from "node:test";
import { exitCodes, reportError } from "../src/cli/command.ts";
import { dataCommand } from "../src/cli/data_command.ts";
import { number, share, wholeNumber } from "../src/cli/numbers.ts";
import { qualityCommand } from "../src/cli/quality.ts";
import { trainCommand } from "../src/cli/train.ts";
import { type RunCommandOptions, recipeOf } from "../src/cli/train_options.ts";
import { DeviceLostError, InputError, TrainingError } from "../src/errors.ts";
import { runCommand } from "./run_command.ts";

test("numbers, whole numbers and shares are read, or refused in words", () => {
  assert.deepEqual([number("-1.5"), number("1e3"), wholeNumber(0)("0"), wholeNumber(1)("12"), share("0"), share("0.25"), share("1")], [-1.5, 1000, 0, 12, 0, 0.25, 1]);
  const refused: [parse: (text: string) => number, texts: string[], message: RegExp][] = [
    [number, ["", " ", "ten", "Infinity", "1,5"], /It is not a number/],
    [wholeNumber(0), ["", "-8", "1.5", "1e3", "9007199254740993"], /It is not a whole number of 0 or more/],
    [wholeNumber(1), ["0", "-1", "x"], /It is not a whole number of 1 or more/],
    [share, ["", "5", "-1", "1.01", "x"], /It is not a share from 0 to 1/],
  ];
  for (const [parse, texts, message] of refused) for (const text of texts) assert.throws(() => parse(text), message, text);
});

test("options of training and data that are out of their range are refused before anything is read", async (t) => {
  const run = ["--model", "m", "--data", "d"];
  const out = [...run, "--out", "o"];
  const cases: [command: () => ReturnType<typeof trainCommand>, args: string[], flag: string][] = [
    [trainCommand, ["unet", ...out, "--validate-every", "0"], "--validate-every"],
    [trainCommand, ["unet", ...out, "--validation-films", "0"], "--validation-films"],
    [trainCommand, ["unet", ...out, "--save-every", "1.5"], "--save-every"],
    [trainCommand, ["unet", ...out, "--keep", "0"], "--keep"],
    [trainCommand, ["vae", ...out, "--crop", "-8"], "--crop"],
    [trainCommand, ["vae", ...out, "--skip-share", "5"], "--skip-share"],
    [trainCommand, ["standardise", ...run, "--films", "0"], "--films"],
    [trainCommand, ["standardise", ...run, "--skip-share", "-1"], "--skip-share"],
    [dataCommand, ["precompute", "d", "--model", "m", "--out", "o", "--skip-share", "1.5"], "--skip-share"],
    [dataCommand, ["precompute", "d", "--model", "m", "--out", "o", "--split", "trian"], "--split"],
    [qualityCommand, ["--real", "r", "--fake", "f", "--skip-share", "2"], "--skip-share"],
  ];
  for (const [command, args, flag] of cases) {
    const { code, stderr } = await runCommand(t, command(), args);
    assert.equal(code, exitCodes.badInput, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, new RegExp(`option '${flag} <.*is invalid`));
  }
});

test("a recipe that is out of its range is told of by the names of the options", () => {
  const options: RunCommandOptions = { out: "o", saveEvery: 1, keep: 1, divergence: 3 };
  const cases: [change: Partial<RunCommandOptions>, message: RegExp][] = [
    [{ trainTextEncoder: true, loraRank: 4 }, /^--train-text-encoder: does not go with --lora-rank, which/],
    [{ textDrop: 2 }, /^--text-drop: 2 is not a number from 0 to 1$/],
    [{ scaleBackoff: 2 }, /^--scale-backoff: 2 is not/],
    [{ scaleInterval: 0 }, /^--scale-interval: 0 is not/],
    [{ scaleGrowth: 0.5 }, /^--scale-growth: 0.5 is not/],
  ];
  for (const [change, message] of cases) assert.throws(() => recipeOf({ ...options, ...change }), (error) => error instanceof InputError && message.test(error.message));
  const { scaleGrowth, scaleBackoff, scaleInterval } = recipeOf({ ...options, scaleGrowth: 3, scaleBackoff: 0.25, scaleInterval: 100 });
  assert.deepEqual([scaleGrowth, scaleBackoff, scaleInterval], [3, 0.25, 100]);
});

test("a failed training, bad input, the device and a defect end with codes of their own", (t) => {
  t.mock.method(process.stderr, "write", () => true);
  const codes = [new TrainingError("training: diverged"), new InputError("file", "is broken"), new DeviceLostError("it is gone", []), new TypeError("x is undefined")].map(reportError);
  t.mock.restoreAll();
  assert.deepEqual(codes, [1, 2, 3, 4]);
});
