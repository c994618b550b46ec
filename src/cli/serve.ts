import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { InputError } from "../errors.ts";
import { type Access, loopbackNames } from "../serve/access_node.ts";
import { createPageServer } from "../serve/server_node.ts";
import { makeFolders, onDisk } from "../weights/atomic_file_node.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { packageRoot, shippedModel } from "./package.ts";
import { createGroundService } from "./serve_ground.ts";

/** What `serve` takes, as commander parses it. */
interface ServeCommandOptions {
  host: string;
  port: number;
  token?: string;
  allowHost: string[];
  model?: string;
  write?: string;
  json?: boolean;
}

const page = join(packageRoot, "dist", "browser");

/** `serve`: the page on this machine, or its files for any host. */
export function serveCommand(): Command {
  return createCommand("serve", "a page on localhost: drop an image, type a phrase, see the map", "serve --port 8000")
    .option("--host <address>", "address to listen at; any but this machine's own needs a token", "127.0.0.1")
    .option("--port <n>", "port to listen at, 0 for a free one", port, 8460)
    .option("--token <text>", "what visitors must know (default: made up where --host is not this machine's own)")
    .option("--allow-host <name...>", "further names by which visitors address this server", [])
    .option("--model <folder>", "model in the diffusers layout (default: weights/phantom of this package)")
    .option("--write <folder>", "write the page and the model there instead, for any host of static files")
    .action(serve);
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError("It is not a port.");
  return value;
}

async function serve(options: ServeCommandOptions): Promise<void> {
  const { model = shippedModel } = options;
  if (!existsSync(join(model, "model_index.json"))) throw new InputError("--model", `${model} holds no model_index.json; give a local folder in the diffusers layout`);
  if (!existsSync(join(page, "index.html"))) throw new InputError(page, "the page is missing; type npm run build");
  if (options.write !== undefined) await writePage(options.write, model, options.json);
  else await listen(model, options);
}

/** Copies all that a host of static files needs. @throws InputError where it cannot */
async function writePage(folder: string, model: string, json?: boolean): Promise<void> {
  const modelCopy = join(folder, "model");
  await makeFolders(folder);
  await onDisk(folder, cp(page, folder, { recursive: true }));
  await onDisk(modelCopy, cp(model, modelCopy, { recursive: true }));
  const written = join(folder, "index.html");
  if (json) printJson({ page: written });
  else process.stdout.write(`${written}\n`);
}

async function listen(model: string, options: ServeCommandOptions): Promise<void> {
  const access = accessOf(options);
  const service = createGroundService({ model, dtype: "f32", cache: true, out: "" });
  const onDefect = (error: unknown) => log(`attnscope serve: ${error instanceof Error ? error.stack : String(error)}`);
  const { server, stop } = createPageServer({ page, model, access, ground: service.ground, onDefect });
  const signal = interruptSignal();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(new InputError("--port", `${options.host}:${options.port} cannot be listened at (${cause.code}); give another`, { cause })));
    server.listen(options.port, options.host, resolve);
  });
  const url = addressOf(server.address() as AddressInfo, access.token);
  if (options.json) printJson({ url });
  else process.stdout.write(`${url}\n`);
  log("stop with Ctrl-C");
  if (!signal.aborted) await once(signal, "abort");
  log("finishing what runs");
  await stop();
  await service.close();
}

function accessOf({ host, token, allowHost }: ServeCommandOptions): Access {
  const isLoopback = ["localhost", "127.0.0.1", "::1"].includes(host);
  const own = isLoopback ? [] : [hostname(), `${hostname()}.local`, ...Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address, family }) => bracketed(address, family === "IPv6")))];
  const hosts = new Set([...loopbackNames, bracketed(host, host.includes(":")), ...own, ...allowHost].map((name) => name.toLowerCase()));
  return { hosts, token: token ?? (isLoopback ? undefined : randomBytes(24).toString("base64url")) };
}

const bracketed = (address: string, isIPv6: boolean) => (isIPv6 ? `[${address}]` : address);

function addressOf({ address, family, port: at }: AddressInfo, token: string | undefined): string {
  const isAny = address === "0.0.0.0" || address === "::";
  const name = isAny ? hostname() : bracketed(address, family === "IPv6");
  return `http://${name}:${at}/${token === undefined ? "" : `?token=${encodeURIComponent(token)}`}`;
}
