// One engine in a process of its own: answers the calls of engine_process.ts.
import type { Engine, Prepared } from "./engine.ts";
import { engines } from "./engines.ts";
import type { Call, Reply } from "./engine_process.ts";
import { works } from "./work.ts";

const [id] = process.argv.slice(2);
let engine: Engine | undefined;
let prepared: Prepared | undefined;

const opened = () => engine ?? raise("the engine was not opened");
const ready = () => prepared ?? raise("no work was prepared");

function raise(message: string): never {
  throw new TypeError(message);
}

const answers: { [K in Call["name"]]: (argument: never) => Promise<unknown> } = {
  async open() {
    const entry = engines.find((one) => one.id === id) ?? raise(`there is no engine ${id}`);
    engine = await entry.open();
    return engine.facts;
  },
  async prepare(name: string) {
    const work = works.find((one) => one.name === name) ?? raise(`there is no work ${name}`);
    prepared = await opened().prepare(work);
  },
  async run(times: number) {
    const start = performance.now();
    await ready().run(times);
    return performance.now() - start;
  },
  read: () => ready().read(),
  async free() {
    await ready().free();
    prepared = undefined;
  },
};

// Ends with the process that started it.
process.on("disconnect", () => process.exit());

process.on("message", async (call: Call) => {
  const reply: Reply = await answers[call.name](call.argument as never).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply);
});
