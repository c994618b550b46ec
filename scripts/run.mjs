// @ts-check
/**
 * `npm start`, `npm test`, `npm run test:full`, `npm run train:phantom`, `npm run paper`: sets up what is missing, then starts
 * the program, the tests, the training of the shipped model or the paper's tables and figures.
 * Needs Node and npm only. Written so that an old Node too can read it and say that it is too old.
 */
const needed = 20;
if (Number(process.versions.node.split(".")[0]) < needed) {
  console.error(`set-up: attnscope needs Node ${needed} or newer; this is ${process.version}`);
  process.exitCode = 1;
} else {
  import("./steps.mjs").then(({ run }) => run(process.argv.slice(2)));
}
