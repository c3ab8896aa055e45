/**
 * Opening a node's directory: take it for this process, read whose it is, repeat the log, count the boot, cut a torn tail, in
 * this order. Until all could be read nothing is changed; the boot is durable before anything is handed out.
 *
 *   node.json          identity (see identity-file.ts)
 *   log/000001.seg ... the log (see log-format.ts)
 *   log/....ckpt       its checkpoints (see checkpoint-format.ts)
 *   lock               held while a process uses the directory
 *
 * Whatever can't be read ends the start with the reason: the store never begins empty where something was.
 * Source: protocol sections A.3, D.4 and F.2 "Never delete on doubt".
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskLock } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { isFull, removeIfThere } from './body-disk.ts';
import { FIRST_LOG_NAME, readIdentity, writeIdentity, type Identity } from './identity-file.ts';
import { parseCheckpointName } from './checkpoint-format.ts';
import { parseSegmentName, SALT_BYTES } from './log-format.ts';
import { ballastPath } from './space-guard.ts';
import { recoverStore, type StoreRecovered } from './store-recovery.ts';
import type { StoreState } from './store-state.ts';

export interface StoreDirectoryDeps {
  readonly disk: Disk;
  readonly log: OperatorLog;
  /** Makes the node id and the log's salt of an empty disk. */
  readonly random: Random;
  readonly clock: Clock;
  /** An empty state, to be filled. */
  readonly newState: () => StoreState;
}

export interface StoreDirectoryOptions {
  /** Absolute; belongs to this node alone. */
  readonly directory: string;
  /** `host:port`. */
  readonly name: string;
  readonly keyBits: number;
}

export interface StoreDirectory {
  readonly identity: Identity;
  readonly logDirectory: string;
  readonly recovered: StoreRecovered;
  readonly lock: DiskLock;
}

/** Why a directory can't be used. */
export type OpenRefusal =
  /** The directory of the node `name` with M = `keyBits`. */
  | { readonly kind: 'foreign'; readonly name: string; readonly keyBits: number }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'in-use' }
  | { readonly kind: 'damaged'; readonly file: string; readonly offset: number; readonly detail: string; readonly nodeId: NodeId | null; readonly rejoin: readonly string[] };

export type DirectoryOutcome = { readonly kind: 'opened'; readonly opened: StoreDirectory } | OpenRefusal;

/** Rejects only with errors of the disk itself. */
export async function openStoreDirectory(deps: StoreDirectoryDeps, options: StoreDirectoryOptions): Promise<DirectoryOutcome> {
  await deps.disk.makeDirectory(options.directory);
  let lock: DiskLock;
  try {
    lock = await deps.disk.lock(options.directory);
  } catch (error) {
    if (error instanceof DhtError && error.code === 'DHT_ERR_DATA_DIR_IN_USE') return { kind: 'in-use' };
    throw error;
  }
  let outcome: DirectoryOutcome | null = null;
  try {
    outcome = await openLocked(deps, options, lock);
    return outcome;
  } finally {
    if (outcome?.kind !== 'opened') await lock.release();
  }
}

async function openLocked(deps: StoreDirectoryDeps, options: StoreDirectoryOptions, lock: DiskLock): Promise<DirectoryOutcome> {
  const { disk, random } = deps;
  const { directory, name, keyBits } = options;
  const found = await readIdentity(disk, directory);
  if (found.kind === 'newer') return found;
  if (found.kind === 'damaged') return { ...found, offset: 0, nodeId: null, rejoin: [] };
  if (found.kind === 'identity' && (found.identity.name !== name || found.identity.keyBits !== keyBits)) {
    return { kind: 'foreign', name: found.identity.name, keyBits: found.identity.keyBits };
  }
  if (found.kind === 'missing' && (await disk.list(`${directory}/${FIRST_LOG_NAME}`)).some(isOfLog)) {
    return { kind: 'damaged', file: `${directory}/node.json`, offset: 0, detail: 'it is missing, but there is a log', nodeId: null, rejoin: [] };
  }
  const before: Identity = found.kind === 'identity'
    ? found.identity
    : { name, keyBits, nodeId: random.hex(16) as NodeId, boot: 0, logSalt: random.hex(SALT_BYTES), logName: FIRST_LOG_NAME, hasLog: false, rejoin: [] };
  const logDirectory = `${directory}/${before.logName}`;
  await disk.makeDirectory(logDirectory);
  const recovered = await recoverStore(deps, { directory: logDirectory, keyBits, salt: Buffer.from(before.logSalt, 'hex') });
  if (recovered.kind === 'damaged') return { ...recovered, nodeId: before.nodeId, rejoin: before.rejoin };
  if (recovered.kind !== 'recovered') return recovered;
  const hasLog = recovered.segments.last() !== null;
  if (before.hasLog && !hasLog) return { kind: 'damaged', file: logDirectory, offset: 0, detail: 'the log is missing', nodeId: before.nodeId, rejoin: before.rejoin };
  const identity: Identity = { ...before, boot: before.boot + 1, hasLog };
  try {
    await writeWithRoom(deps, directory, () => writeIdentity(disk, directory, identity));
    await settleTail(deps, logDirectory, recovered);
    return { kind: 'opened', opened: { identity, logDirectory, recovered, lock } };
  } catch (error) {
    await recovered.segments.close();
    throw error;
  }
}

/** What a start has to write finds room on a volume that others have filled: the space kept for deletes is given up for it. */
async function writeWithRoom({ disk, log }: StoreDirectoryDeps, directory: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isFull(error)) throw error;
    log.warn('the volume is full: the space kept for deletes is used for the start', { directory });
    await removeIfThere(disk, ballastPath(directory));
    await write();
  }
}

/** Removes what the crash left of writes that nobody was promised, and makes durable what nobody may have synced. */
async function settleTail({ disk, log }: StoreDirectoryDeps, logDirectory: string, recovered: StoreRecovered): Promise<void> {
  const { segments, cutBytes, lastBatch, leftovers } = recovered;
  for (const path of leftovers) await disk.remove(path);
  const last = segments.last();
  if (last !== null && cutBytes !== null) {
    log.warn('a torn write at the end of the log was cut off', { segment: last.number, bytes: cutBytes });
    await last.file.truncate(cutBytes);
    await last.file.sync();
  }
  if (last !== null && lastBatch !== null) await last.file.writeDurably(lastBatch.offset, [lastBatch.bytes]);
  // Also the name of the last segment may be in memory alone.
  if (last !== null || leftovers.length > 0) await disk.syncDirectory(logDirectory);
}

function isOfLog(file: string): boolean {
  return parseSegmentName(file) !== null || parseCheckpointName(file) !== null;
}
