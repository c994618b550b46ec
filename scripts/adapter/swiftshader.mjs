// @ts-check
/**
 * SwiftShader, Chromium's Vulkan on the CPU, for a machine where nothing can be installed: an npm package carries it
 * with a Vulkan loader, and both work from any folder.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { npmCommand, runStep } from "../process.mjs";

const PACKAGE = "@sparticuz/chromium@147.0.0";
const MEMBER = "package/bin/swiftshader.tar.br";
const SHA256 = "f957ea867313f9815b71dc2ed30cce301e01db4f3973fbdb31ffa5391b0ec45a";
const DRIVER = "vk_swiftshader_icd.json";
const FILES = ["libvk_swiftshader.so", "libvulkan.so.1", DRIVER];
const MINUTE = 60_000;

/**
 * Puts SwiftShader into `folder` unless it is there.
 * @param {string} folder
 * @param {(line: string) => void} say
 * @returns {Promise<Record<string, string>>} the variables with which a process must start to use it
 */
export async function installSwiftShader(folder, say) {
  if (!holdsFiles(folder)) {
    say(`fetching SwiftShader out of the npm package ${PACKAGE} (66 MB)`);
    const scratch = `${folder}.new`;
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { recursive: true });
    try {
      await unpackInto(scratch);
      rmSync(folder, { recursive: true, force: true });
      renameSync(join(scratch, "files"), folder);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  const driver = join(folder, DRIVER);
  return { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: folder };
}

/** @param {string} folder */
function holdsFiles(folder) {
  try {
    const present = new Set(readdirSync(folder));
    return FILES.every((name) => present.has(name));
  } catch {
    return false;
  }
}

/** @param {string} scratch its folder `files` holds SwiftShader afterwards */
async function unpackInto(scratch) {
  const [npm, ...npmArgs] = npmCommand();
  await runStep(npm, [...npmArgs, "pack", PACKAGE, "--pack-destination", scratch], { cwd: scratch, timeout: 10 * MINUTE });
  const archive = readdirSync(scratch).find((name) => name.endsWith(".tgz"));
  if (!archive) throw new Error(`npm pack ${PACKAGE} left no archive`);
  await runStep("tar", ["-xzf", archive, MEMBER], { cwd: scratch, timeout: MINUTE });
  const packed = readFileSync(join(scratch, MEMBER));
  const sha256 = createHash("sha256").update(packed).digest("hex");
  if (sha256 !== SHA256) throw new Error(`${PACKAGE} ${MEMBER}: SHA-256 is ${sha256}, expected ${SHA256}`);
  writeFileSync(join(scratch, "swiftshader.tar"), brotliDecompressSync(packed));
  mkdirSync(join(scratch, "files"));
  await runStep("tar", ["-xf", "../swiftshader.tar", "--no-same-owner", ...FILES], {
    cwd: join(scratch, "files"),
    timeout: MINUTE,
  });
}
