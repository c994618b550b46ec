import { testKernelsInChromium } from "./kernel_suite.ts";

/** Families whose tests take seconds on the processor; `npm run test:full` runs them all. */
const quick = ["softmax", "embed", "group_norm", "image"];

testKernelsInChromium("kernels in Chromium", quick.map((name) => `${name}.test.ts`));
