import { WeightsError } from "../errors.ts";
import { type FolderSource, blobSource } from "./byte_source.ts";

/** A folder that the user chose in a browser (File System Access), or one of the origin's private file system. */
export function directoryFolder(root: FileSystemDirectoryHandle): FolderSource {
  const find = async (path: string): Promise<File | undefined> => {
    const parts = path.split("/");
    try {
      let folder = root;
      for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part);
      return await (await folder.getFileHandle(parts[parts.length - 1])).getFile();
    } catch (cause) {
      if ((cause as DOMException).name === "NotFoundError" || (cause as DOMException).name === "TypeMismatchError") return undefined;
      throw new WeightsError(`${root.name}/${path}`, `cannot be read (${(cause as Error).message}); choose the folder again`, { cause });
    }
  };
  return {
    name: root.name,
    async open(path) {
      const file = await find(path);
      if (!file) throw new WeightsError(`${root.name}/${path}`, "the file is missing; choose the model's own folder, the one with model_index.json");
      return blobSource(`${root.name}/${path}`, file);
    },
    has: async (path) => (await find(path)) !== undefined,
  };
}
