import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { createProgram } from "../src/cli/program.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const guide = join(root, "docs", "guide.md");
const text = readFileSync(guide, "utf8");

/** A fenced block, without the indentation of a list, and the file that the last link before it names. */
interface Block {
  language: string;
  code: string;
  file?: string;
}

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)].map(({ 1: indent, 2: language, 3: body, index }) => {
    const link = [...markdown.slice(0, index).matchAll(/\]\((\.\.?\/[^)#]+)\)/g)].at(-1)?.[1];
    return { language, code: withoutIndent(body.replaceAll(new RegExp(`^${indent}`, "gm"), "")), file: link && resolve(dirname(guide), link) };
  });
}

/** Lines without the spaces that all of them begin with, and without empty lines around them. */
function withoutIndent(code: string): string {
  const lines = code.replace(/\s+$/, "").split("\n");
  const depth = Math.min(...lines.filter((line) => line !== "").map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(depth)).join("\n");
}

/** Whether the block's lines follow each other in the file, all indented alike. */
function isPartOf(code: string, file: string): boolean {
  const [all, wanted] = [readFileSync(file, "utf8").split("\n"), code.split("\n")];
  return all.some((_, start) => withoutIndent(all.slice(start, start + wanted.length).join("\n")) === code);
}

/** Words of a line of a shell, without comment and redirection. */
function wordsOf(line: string): string[] {
  return [...line.replace(/ (#|>) .*$/, "").matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

/** The command line with commands that are parsed, and then do nothing. */
function idleProgram(): Command {
  const program = createProgram();
  const idle = (command: Command) => {
    command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length === 0 || command.name() === "profile") command.action(() => undefined);
    command.commands.forEach(idle);
  };
  idle(program);
  return program;
}

/** Fails where a line names a command, an option, a script or a file that is not there. */
async function checkCommand(line: string): Promise<void> {
  const [program, ...words] = wordsOf(line);
  const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;
  if (program === "npx") {
    assert.equal(words[0], "attnscope", line);
    await idleProgram().parseAsync(words.slice(1), { from: "user" });
  } else if (program === "npm" && words[0] === "run") assert.ok(scripts[words[1]], line);
  else if (program === "node") assert.ok(existsSync(join(root, words.at(-1) ?? "")), line);
  else assert.equal(line, "npm install attnscope");
}

describe("the guide", () => {
  const blocks = blocksOf(text);

  for (const { language, code, file = "" } of blocks.filter(({ language }) => language !== "sh")) {
    test(`quotes ${relative(root, file)}: ${code.split("\n")[0].slice(0, 50)}`, () => {
      assert.match(language, /^(js|ts|html|wgsl)$/);
      assert.ok(isPartOf(code, file), `not in ${file}:\n${code}`);
    });
  }

  for (const line of blocks.filter(({ language }) => language === "sh").flatMap(({ code }) => code.split("\n"))) {
    test(`names what is there: ${line.slice(0, 60)}`, () => checkCommand(line));
  }

  test("leads only to files and headings that exist", () => {
    for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (!target.startsWith("#")) assert.ok(existsSync(resolve(dirname(guide), target)), target);
      else assert.ok(text.split("\n").some((line) => /^#+ /.test(line) && line.replace(/^#+ /, "").toLowerCase().replaceAll(" ", "-") === target.slice(1)), target);
    }
  });
});
