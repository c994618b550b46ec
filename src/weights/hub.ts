import { InputError, WeightsError } from "../errors.ts";
import { isSize } from "./dtype.ts";
import { statusFact } from "./http_range.ts";
import { shown } from "./shown.ts";

/** One file of a hub's repository. */
export interface HubFile {
  /** Path in the repository, with `/`. */
  readonly path: string;
  /** Bytes, where the listing says; otherwise headers of the file do. */
  readonly size?: number;
  /** SHA-256 of the contents in hexadecimal, where the listing says; otherwise headers of large files do. */
  readonly sha256?: string;
}

/** A revision of a repository. */
export interface HubListing {
  /** The commit that the revision stands for, or the revision itself where the hub does not say. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** Where a repository is. */
export interface HubAddress {
  /** Base URL of the hub, without a slash at the end. */
  readonly endpoint: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** Folders of the diffusers layout that hold what is used here. */
export const componentFolders = ["unet", "unet_ema", "vae", "text_encoder", "tokenizer", "scheduler"];
const safetensorsNames = /^(diffusion_pytorch_model|model)(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/;
const torchNames = /^(diffusion_pytorch_model|pytorch_model)(-\d+-of-\d+)?\.bin(\.index\.json)?$/;
const textNames = /^(config|scheduler_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|open_clip_config)\.json$|^(vocab|merges)\.txt$/;

/** Checks and completes an address. @throws InputError where endpoint or repository cannot be one */
export function hubAddress(endpoint: string | undefined, repository: string, revision = "main"): HubAddress {
  if (!endpoint) throw new InputError("--endpoint", "no hub is named; give --endpoint URL or set the environment variable HF_ENDPOINT");
  if (!/^https?:\/\/[^/]/.test(endpoint) || !URL.canParse(endpoint)) throw new InputError("--endpoint", `${shown(endpoint)} is not the URL of a hub; begin it with https://`);
  if (!/^\w[\w.-]*(\/\w[\w.-]*)?$/.test(repository)) throw new InputError("repository", `${shown(repository)} is not a repository's id; give OWNER/NAME`);
  return { endpoint: endpoint.replace(/\/+$/, ""), repository, revision };
}

/** Where the hub lists the files of a revision. */
export function listingUrl({ endpoint, repository, revision }: HubAddress): string {
  return `${endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}`;
}

/** Where the hub has a file. */
export function fileUrl({ endpoint, repository }: HubAddress, commit: string, path: string): string {
  return `${endpoint}/${repository}/resolve/${encodeURIComponent(commit)}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** What is wrong and what to do, for a hub's HTTP status that is no success. */
export function hubStatusFact(status: number): string {
  const refused = status === 401 || status === 403;
  return refused ? `the hub refuses access (HTTP ${status}); accept the model's terms there and set HF_TOKEN to a token that may read it` : statusFact(status);
}

/** Reads a hub's answer to `listingUrl`. @throws WeightsError where it is none, or a path in it leads out of the repository */
export function parseListing(url: string, revision: string, answer: unknown): HubListing {
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (!Array.isArray(siblings)) throw new WeightsError(url, "the answer lists no files; check that --endpoint is a hub");
  const commit = typeof sha === "string" && /^\w+$/.test(sha) ? sha : revision;
  return { commit, files: siblings.map((sibling) => parseFile(url, sibling)) };
}

function parseFile(url: string, sibling: unknown): HubFile {
  const { rfilename: path, size, lfs } = (sibling ?? {}) as { rfilename?: unknown; size?: unknown; lfs?: { sha256?: unknown } | null };
  if (typeof path !== "string" || !isInnerPath(path)) throw new WeightsError(url, `lists the file ${shown(path)}, which is no path inside a repository; do not trust this hub`);
  return { path, size: isSize(size) ? size : undefined, sha256: sha256Of(lfs?.sha256) };
}

/** A path that stays inside the folder it is put in, on every system. */
function isInnerPath(path: string): boolean {
  const parts = path.split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\\:\x00-\x1f]/.test(path);
}

/** A value as a SHA-256 in hexadecimal, quotes of an ETag taken off; undefined where it is none. */
export function sha256Of(value: unknown): string | undefined {
  const match = typeof value === "string" ? /^"?([0-9a-f]{64})"?$/i.exec(value) : null;
  return match?.[1].toLowerCase();
}

/**
 * Files of a model in the diffusers layout: configurations, tokenizer and weights of each component, of the weights safetensors
 * where a component has them. A repository without `model_index.json` may hold one component in its root.
 * @param include patterns (`*` any characters, `?` one) that choose the files instead
 */
export function selectFiles(files: readonly HubFile[], include: readonly string[] = []): HubFile[] {
  if (include.length > 0) {
    const patterns = include.map(globPattern);
    return files.filter(({ path }) => patterns.some((pattern) => pattern.test(path)));
  }
  const isPipeline = files.some(({ path }) => path === "model_index.json");
  const split = files.map((file) => ({ file, folder: file.path.slice(0, Math.max(0, file.path.lastIndexOf("/"))), base: file.path.slice(file.path.lastIndexOf("/") + 1) }));
  const hasSafetensors = new Set(split.filter(({ base }) => safetensorsNames.test(base)).map(({ folder }) => folder));
  return split.filter(({ folder, base }) => {
    if (folder === "" && isPipeline) return base === "model_index.json";
    if (folder !== "" && !componentFolders.includes(folder)) return false;
    return textNames.test(base) || safetensorsNames.test(base) || (torchNames.test(base) && !hasSafetensors.has(folder));
  }).map(({ file }) => file);
}

function globPattern(glob: string): RegExp {
  const source = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`);
}
