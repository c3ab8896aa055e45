/**
 * What is in `staging/` and `bodies/` at start, held against what the log says: bodies whose files are missing, and files that
 * nothing names. Only names are read; whether a file is whole shows when it is first read.
 * Cost: one listing for each directory that large bodies ever used, a few at a time.
 */
import type { BodyId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { Disk } from '../ports/disk.ts';
import { bodiesDirectory, bodyIdOfFile, bodyPath, stagingDirectory } from './body-format.ts';

export interface Inventory {
  /** Bodies that should be there, each with the key whose record names it; null: it was staged. */
  readonly missing: ReadonlyMap<BodyId, ObjectKey | null>;
  /** Bodies that nothing names, of which there is a file, whole or staged. */
  readonly unnamed: readonly BodyId[];
  /** Bodies that are held and have a staged file as well. */
  readonly stagedBesideHeld: readonly BodyId[];
}

/** Directories listed side by side. */
const LISTINGS_AT_ONCE = 16;

/** `named`: bodies that should have files. Makes `staging/` when it isn't there yet. */
export async function takeInventory(disk: Disk, directory: string, named: ReadonlyMap<BodyId, ObjectKey | null>): Promise<Inventory> {
  await disk.makeDirectory(stagingDirectory(directory));
  const missing = new Map(named);
  const unnamed = new Set<BodyId>();
  const staged = new Set((await disk.list(stagingDirectory(directory))).map(bodyIdOfFile).filter((bodyId) => bodyId !== null));
  const bodies = bodiesDirectory(directory);
  const outer = (await listAll(disk, [bodies])).filter(isPair);
  const inner = (await listAll(disk, outer)).filter(isPair);
  for (const path of await listAll(disk, inner)) {
    const bodyId = bodyIdOfFile(nameOf(path));
    if (bodyId === null || bodyPath(directory, bodyId) !== path) continue;
    if (!missing.delete(bodyId)) unnamed.add(bodyId);
  }
  // A removal that was not durable brings a staged file back, also of a body that the log still names: it is of no use there.
  const held = [...staged].filter((bodyId) => named.has(bodyId) && !missing.has(bodyId));
  for (const bodyId of staged) if (!held.includes(bodyId)) unnamed.add(bodyId);
  return { missing, unnamed: [...unnamed].sort(), stagedBesideHeld: held.sort() };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Whether the path can be a directory of bodies. */
function isPair(path: string): boolean {
  return /^[0-9a-f]{2}$/.test(nameOf(path));
}

/** The paths in the directories, in the order of the directories. */
async function listAll(disk: Disk, directories: readonly string[]): Promise<readonly string[]> {
  const listed: string[][] = directories.map(() => []);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < directories.length; i = next++) {
      const directory = directories[i] ?? '';
      listed[i] = (await disk.list(directory)).map((name) => `${directory}/${name}`);
    }
  };
  await Promise.all(Array.from({ length: LISTINGS_AT_ONCE }, worker));
  return listed.flat();
}
