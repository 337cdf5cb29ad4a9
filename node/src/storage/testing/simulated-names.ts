/**
 * The folders of the simulated disk: which name leads to which file, as programs see it and as the disk holds it.
 *
 * Invariants:
 * - A change of names is seen at once and stands in `#pending` until a folder it touches is synced.
 * - A rename is one change: a power cut leaves the old names or the new ones, never neither.
 * - Changes of one folder become durable in order, all of them, or at a power cut any selection of them.
 */
import { posix } from 'node:path';

import type { Random } from '../../../../common/random.ts';
import { systemError } from '../system-error.ts';
import { SimulatedFile, type Unsynced } from './simulated-file.ts';

export class SimulatedFolder {
  readonly entries: Map<string, SimulatedNode> = new Map<string, SimulatedNode>();
  readonly durable: Map<string, SimulatedNode> = new Map<string, SimulatedNode>();
}

export type SimulatedNode = SimulatedFile | SimulatedFolder;

/** `node` null: the name is gone. */
interface NameEdit {
  readonly folder: SimulatedFolder;
  readonly name: string;
  readonly node: SimulatedNode | null;
}

type NameChange = readonly NameEdit[];

const apply = (entries: Map<string, SimulatedNode>, { name, node }: NameEdit): void => {
  if (node === null) entries.delete(name);
  else entries.set(name, node);
};

/** Paths are absolute and normal; relative ones start at the root, which always exists. */
export const normalPath = (path: string): string => posix.resolve('/', path);

export class SimulatedNames {
  #root = new SimulatedFolder();
  #pending: NameChange[] = [];

  find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.#root;
    for (const part of normalPath(path).split('/')) {
      if (part === '') continue;
      if (!(node instanceof SimulatedFolder)) return undefined;
      node = node.entries.get(part);
    }
    return node;
  }

  fileAt(path: string, syscall: string): SimulatedFile {
    const node = this.find(path);
    if (node === undefined) throw systemError('ENOENT', syscall, path);
    if (node instanceof SimulatedFolder) throw systemError('EISDIR', syscall, path);
    return node;
  }

  folderAt(path: string, syscall: string): SimulatedFolder {
    const node = this.find(path);
    if (node === undefined) throw systemError('ENOENT', syscall, path);
    if (node instanceof SimulatedFile) throw systemError('ENOTDIR', syscall, path);
    return node;
  }

  create(path: string): SimulatedFile {
    const full = normalPath(path);
    const folder = this.folderAt(posix.dirname(full), 'open');
    if (folder.entries.has(posix.basename(full))) throw systemError('EEXIST', 'open', path);
    const file = new SimulatedFile(full);
    this.#change([{ folder, name: posix.basename(full), node: file }]);
    return file;
  }

  /** One level; no error where it exists. */
  makeFolder(path: string): void {
    const full = normalPath(path);
    const existing = this.find(full);
    if (existing instanceof SimulatedFile) throw systemError('EEXIST', 'mkdir', path);
    if (existing !== undefined) return;
    const folder = this.folderAt(posix.dirname(full), 'mkdir');
    this.#change([{ folder, name: posix.basename(full), node: new SimulatedFolder() }]);
  }

  rename(source: string, target: string): void {
    const to = normalPath(target);
    const file = this.fileAt(source, 'rename');
    const from = this.folderAt(posix.dirname(normalPath(source)), 'rename');
    const folder = this.folderAt(posix.dirname(to), 'rename');
    if (this.find(to) instanceof SimulatedFolder) throw systemError('EISDIR', 'rename', target);
    if (file === this.find(to)) return;
    file.path = to;
    this.#change([
      { folder: from, name: posix.basename(normalPath(source)), node: null },
      { folder, name: posix.basename(to), node: file },
    ]);
  }

  /** No error where there is no such name. */
  remove(path: string): void {
    const node = this.find(path);
    if (node === undefined) return;
    if (node instanceof SimulatedFolder) throw systemError('EISDIR', 'unlink', path);
    this.#unname(path);
  }

  removeFolder(path: string): void {
    const node = this.find(path);
    if (node === undefined) return;
    if (node instanceof SimulatedFile) throw systemError('ENOTDIR', 'rmdir', path);
    if (node.entries.size > 0) throw systemError('ENOTEMPTY', 'rmdir', path);
    this.#unname(path);
  }

  /** Makes the changes that touch this folder durable, or by `keeps` some of them. */
  syncFolder(path: string, keeps: (change: NameChange) => boolean = () => true): void {
    const folder = this.folderAt(path, 'fsync');
    this.#settle((change) => change.some((edit) => edit.folder === folder) && keeps(change));
  }

  /** Paths of all files, sorted. */
  filePaths(): string[] {
    const paths: string[] = [];
    const visit = (folder: SimulatedFolder, prefix: string): void => {
      for (const [name, node] of folder.entries) {
        if (node instanceof SimulatedFile) paths.push(`${prefix}/${name}`);
        else visit(node, `${prefix}/${name}`);
      }
    };
    visit(this.#root, '');
    return paths.sort();
  }

  usedBytes(): number {
    let used = 0;
    const visit = (folder: SimulatedFolder): void => {
      for (const node of folder.entries.values()) {
        if (node instanceof SimulatedFile) used += node.length;
        else visit(node);
      }
    };
    visit(this.#root);
    return used;
  }

  copy(): SimulatedNames {
    const copies = new Map<SimulatedNode, SimulatedNode>();
    const twin = new SimulatedNames();
    twin.#root = copyFolder(this.#root, copies);
    twin.#pending = this.#pending.map((change) =>
      change.map(({ folder, name, node }) => ({
        folder: copyFolder(folder, copies),
        name,
        node: node === null ? null : copyNode(node, copies),
      })),
    );
    return twin;
  }

  /** The power goes: names are what the disk holds, and unsynced changes are there or not as `unsynced` says. */
  losePower(unsynced: Unsynced, random: Random): void {
    if (unsynced !== 'lost') {
      this.#settle(() => unsynced === 'kept' || random.below(2) === 0);
    }
    this.#pending = [];
    const settled = new Set<SimulatedFile>();
    const visit = (folder: SimulatedFolder, prefix: string): void => {
      folder.entries.clear();
      for (const [name, node] of folder.durable) {
        folder.entries.set(name, node);
        if (node instanceof SimulatedFolder) visit(node, `${prefix}/${name}`);
        else if (!settled.has(node)) {
          settled.add(node);
          node.path = `${prefix}/${name}`;
          node.losePower(unsynced, random);
        }
      }
    };
    visit(this.#root, '');
  }

  #change(change: NameChange): void {
    for (const edit of change) apply(edit.folder.entries, edit);
    this.#pending.push(change);
  }

  #unname(path: string): void {
    const full = normalPath(path);
    const folder = this.folderAt(posix.dirname(full), 'unlink');
    this.#change([{ folder, name: posix.basename(full), node: null }]);
  }

  #settle(chosen: (change: NameChange) => boolean): void {
    this.#pending = this.#pending.filter((change) => {
      if (!chosen(change)) return true;
      for (const edit of change) apply(edit.folder.durable, edit);
      return false;
    });
  }
}

function copyFolder(
  folder: SimulatedFolder,
  copies: Map<SimulatedNode, SimulatedNode>,
): SimulatedFolder {
  const known = copies.get(folder);
  if (known instanceof SimulatedFolder) return known;
  const twin = new SimulatedFolder();
  copies.set(folder, twin);
  for (const [name, node] of folder.entries) twin.entries.set(name, copyNode(node, copies));
  for (const [name, node] of folder.durable) twin.durable.set(name, copyNode(node, copies));
  return twin;
}

function copyNode(node: SimulatedNode, copies: Map<SimulatedNode, SimulatedNode>): SimulatedNode {
  if (node instanceof SimulatedFolder) return copyFolder(node, copies);
  const known = copies.get(node);
  if (known !== undefined) return known;
  const twin = node.copy();
  copies.set(node, twin);
  return twin;
}
