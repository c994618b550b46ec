// @ts-check
/**
 * Mesa's lavapipe (Vulkan on the CPU) from the archive of a Debian or Ubuntu machine.
 * Debian 12's own Mesa is too old for Dawn; its backports carry a newer one.
 */
import { existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../stamps.mjs";
import { installPackages, repairPackages } from "./apt.mjs";

const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];
const SOURCES = "/etc/apt/sources.list";
const SOURCES_FOLDER = "/etc/apt/sources.list.d";
const OWN_SOURCES = "attnscope-backports";

/** Debian releases whose own Mesa Dawn refuses, and whose backports have one that it accepts. */
const BACKPORTED = new Set(["bookworm"]);

/**
 * The suite that has a Mesa new enough, or undefined where the release's own will do.
 * @param {string | undefined} codename VERSION_CODENAME of /etc/os-release
 */
export function suiteForMesa(codename) {
  return codename && BACKPORTED.has(codename) ? `${codename}-backports` : undefined;
}

/**
 * The apt source of `<codename>-backports`, derived from the sources the machine has (same mirror, same signing
 * options), so that a machine behind a mirror of its own keeps using it.
 * @param {{ path: string, text: string }[]} files the machine's `*.list` and `*.sources` files
 * @param {string} codename e.g. "bookworm"
 * @returns {{ state: "present" } | { state: "derived", extension: "list" | "sources", text: string } | { state: "absent" }}
 */
export function backportsSource(files, codename) {
  const suite = `${codename}-backports`;
  const entries = files.flatMap(({ path, text }) => (path.endsWith(".sources") ? stanzas(text) : lines(text)));
  if (entries.some((entry) => entry.suites.includes(suite))) return { state: "present" };
  const model = entries.find((entry) => entry.suites.includes(codename));
  if (!model) return { state: "absent" };
  return { state: "derived", extension: model.extension, text: model.withSuite(suite) };
}

/** @typedef {{ extension: "list" | "sources", suites: string[], withSuite: (suite: string) => string }} AptEntry */

/**
 * Entries of a one-line-style file: `deb [options] uri suite components…`.
 * @param {string} text
 * @returns {AptEntry[]}
 */
function lines(text) {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(\[[^\]]*\]\s+)?(?!cdrom:)(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (!match) return [];
    const [, options = "", uri, suite, components] = match;
    return [{
      extension: /** @type {const} */ ("list"),
      suites: [suite],
      withSuite: (/** @type {string} */ other) => `deb ${options}${uri} ${other} ${components.trim()}\n`,
    }];
  });
}

/**
 * Entries of a deb822 file: stanzas of `Field: value` lines, continued by indented lines.
 * @param {string} text
 * @returns {AptEntry[]}
 */
function stanzas(text) {
  const withoutComments = text.split("\n").filter((line) => !line.startsWith("#")).join("\n");
  return withoutComments.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const body = stanza.trim();
    /** @param {string} name */
    const field = (name) => new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, "im").exec(body)?.[1].trim() ?? "";
    if (!field("Types").split(/\s+/).includes("deb") || /^no$/i.test(field("Enabled"))) return [];
    return [{
      extension: /** @type {const} */ ("sources"),
      suites: field("Suites").split(/\s+/),
      withSuite: (/** @type {string} */ other) => `${body.replace(/^Suites:.*(?:\n[ \t].*)*/im, `Suites: ${other}`)}\n`,
    }];
  });
}

function readAptSources() {
  const names = readdirSync(SOURCES_FOLDER).filter((name) => /\.(list|sources)$/.test(name));
  const paths = [SOURCES, ...names.map((name) => join(SOURCES_FOLDER, name))];
  return paths.filter((path) => existsSync(path)).map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

/**
 * @param {string} codename
 * @param {(line: string) => void} say
 * @returns {string | undefined} the file that was added to apt's sources
 */
function addBackports(codename, say) {
  const source = backportsSource(readAptSources(), codename);
  if (source.state === "absent") throw new Error(`apt has no source for ${codename} to derive ${codename}-backports from`);
  if (source.state === "present") return undefined;
  const path = join(SOURCES_FOLDER, `${OWN_SOURCES}.${source.extension}`);
  say(`adding ${codename}-backports to apt's sources (${path})`);
  writeWhole(path, source.text);
  return path;
}

/**
 * Installs lavapipe; needs root, and apt-get on a Debian or Ubuntu machine.
 * @param {string | undefined} codename
 * @param {(line: string) => void} say
 */
export async function installLavapipe(codename, say) {
  await repairPackages();
  const suite = suiteForMesa(codename);
  const added = suite && addBackports(/** @type {string} */ (codename), say);
  try {
    say(`installing Mesa's lavapipe with apt-get${suite ? ` from ${suite}` : ""}`);
    await installPackages(PACKAGES, { suite, say });
  } catch (error) {
    // A source that does not serve us must not spoil the machine's other updates.
    if (added) rmSync(added);
    throw error;
  }
}
