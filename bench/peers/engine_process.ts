import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { EngineFacts, Outputs } from "./engine.ts";

/** What an engine's process is asked. */
export interface Call {
  name: "open" | "prepare" | "run" | "read" | "free";
  argument?: string | number;
}

/** What it answers. */
export type Reply = { value: unknown } | { error: string };

/** An engine in a process of its own, which may crash or hang without harm to the others. */
export interface EngineProcess {
  open(): Promise<EngineFacts>;
  prepare(work: string): Promise<void>;
  /** Milliseconds of so many runs. */
  run(times: number): Promise<number>;
  read(): Promise<Outputs>;
  free(): Promise<void>;
  /** False once it has crashed, hung or been ended. */
  readonly alive: boolean;
  end(): void;
}

const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
const tailLines = 3;

/** Starts an engine's process. Calls reject with a reason where it fails, ends, or takes longer than `limitMs`, which ends it. */
export function startEngine(id: string, limitMs: number): EngineProcess {
  const child = fork(worker, [id], { execArgv: ["--import", import.meta.resolve("tsx")], serialization: "advanced", stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let stderr = "";
  child.stderr?.on("data", (chunk) => (stderr = `${stderr}${chunk}`.slice(-4000)));
  let alive = true;
  let fail: ((error: Error) => void) | undefined;
  child.on("close", (code, signal) => {
    alive = false;
    const said = stderr.trim().split("\n").slice(-tailLines).join(" ").trim();
    fail?.(new Error(`its process ended with ${signal ?? `code ${code}`}${said ? `: ${said}` : ""}`));
  });
  const ask = async <T>(call: Call): Promise<T> => {
    if (!alive) throw new Error("its process has ended");
    const reply = await new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${call.name} took longer than ${limitMs / 1000} s`));
        end();
      }, limitMs);
      const settle = <A>(how: (value: A) => void) => (value: A) => {
        clearTimeout(timer);
        child.off("message", answered);
        how(value);
      };
      const answered = settle<unknown>((value) => resolve(value as Reply));
      child.on("message", answered);
      fail = settle<Error>(reject);
      child.send(call);
    });
    if ("error" in reply) throw new Error(reply.error);
    return reply.value as T;
  };
  const end = () => {
    alive = false;
    child.kill("SIGKILL");
  };
  return {
    open: () => ask({ name: "open" }),
    prepare: (argument) => ask({ name: "prepare", argument }),
    run: (argument) => ask({ name: "run", argument }),
    read: () => ask({ name: "read" }),
    free: () => ask({ name: "free" }),
    get alive() {
      return alive;
    },
    end,
  };
}
