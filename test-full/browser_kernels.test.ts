import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { testKernelsInChromium } from "../test/browser/kernel_suite.ts";

const folder = fileURLToPath(new URL("../shaders-test", import.meta.url));
/** Tests of fragments read them from the disk. */
const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && !readFileSync(join(folder, name), "utf8").includes("./fragment.ts"));

testKernelsInChromium("all kernels in Chromium", files);
