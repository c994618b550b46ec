import { stat } from "node:fs/promises";
import { join } from "node:path";
import { WeightsError } from "../errors.ts";
import { downloadFile, type DownloadOptions } from "./download_node.ts";
import { networkReason } from "./http_source.ts";
import { fileUrl, hubStatusFact, listingUrl, parseListing, selectFiles, type HubAddress, type HubFile, type HubListing } from "./hub.ts";

/** How far a pull has come. */
export interface PullProgress {
  /** File that arrives, and which of how many it is, from 1. */
  readonly path: string;
  readonly index: number;
  readonly count: number;
  /** Bytes of this file; its total where it is known. */
  readonly fileBytes: number;
  readonly fileTotal: number | undefined;
}

export interface PullOptions extends Pick<DownloadOptions, "token" | "signal" | "retryDelay"> {
  /** Patterns that choose the files, instead of those of a model in the diffusers layout. */
  readonly include?: readonly string[];
  readonly onProgress?: (progress: PullProgress) => void;
}

/** What a pull left on the disk. */
export interface PullResult {
  /** The model's folder: `<cache>/<owner>--<name>/<commit>`. */
  readonly folder: string;
  readonly commit: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly downloaded: boolean }[];
}

/**
 * Fetches a model from a hub into a cache folder. Files that are there with the size that the hub lists are left alone;
 * an interrupted file goes on where it stopped.
 * @throws WeightsError or InputError, see `downloadFile`; what was complete stays
 */
export async function pullRepository(address: HubAddress, cacheFolder: string, options: PullOptions = {}): Promise<PullResult> {
  const { commit, files } = await listRepository(address, options);
  const selected = selectFiles(files, options.include);
  if (selected.length === 0) {
    throw new WeightsError(address.repository, `none of its ${files.length} files is wanted; choose some with --include, for example --include '*.safetensors'`);
  }
  const folder = join(cacheFolder, address.repository.replace("/", "--"), encodeURIComponent(commit));
  const results: PullResult["files"][number][] = [];
  for (const [position, file] of selected.entries()) {
    const target = join(folder, ...file.path.split("/"));
    const present = await isPresent(target, file);
    if (!present) {
      await downloadFile(fileUrl(address, commit, file.path), target, {
        ...options,
        size: file.size,
        sha256: file.sha256,
        onBytes: (fileBytes, fileTotal) => options.onProgress?.({ path: file.path, index: position + 1, count: selected.length, fileBytes, fileTotal }),
      });
    }
    results.push({ path: file.path, bytes: (await stat(target)).size, downloaded: !present });
  }
  return { folder, commit, files: results };
}

async function listRepository(address: HubAddress, { token, signal }: PullOptions): Promise<HubListing> {
  const url = listingUrl(address);
  const response = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {}, signal }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new WeightsError(url, `the hub cannot be reached (${networkReason(cause)}); check --endpoint`, { cause });
  });
  if (response.status === 404) throw new WeightsError(url, `the hub has no ${address.repository} at revision ${address.revision} (HTTP 404); check the id and --revision`);
  if (!response.ok) throw new WeightsError(url, hubStatusFact(response.status));
  const answer: unknown = await response.json().catch((cause: unknown) => {
    throw new WeightsError(url, "the answer is not JSON; check that --endpoint is a hub", { cause });
  });
  return parseListing(url, address.revision, answer);
}

/** Only complete, checked files bear their name: one of the listed size is the one. */
async function isPresent(target: string, { size }: HubFile): Promise<boolean> {
  return stat(target).then((stats) => stats.isFile() && (size === undefined || stats.size === size), () => false);
}
