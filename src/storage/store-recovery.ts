/**
 * The state of the store at start: the newest checkpoint that can be read, and the log from there on, repeated.
 *
 *   newest checkpoint whole                    it, and the log behind it
 *   newest one damaged, older one whole        that one, and a longer piece of the log: the same state
 *   none whole, the log begins at its start    the whole log
 *   none whole, the log was truncated          damaged: never start with less than there was
 *   a checkpoint of a newer format             refused, even if an older one is there
 *
 * At the end every segment that something points at must be there. Nothing on disk is changed.
 * Source: protocol section F.2 "Checkpoint", "Never delete on doubt".
 */
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import { BUCKET_COUNT } from './bucket-table.ts';
import { checkpointName, isUnfinishedCheckpoint, parseCheckpointName } from './checkpoint-format.ts';
import { readCheckpoint, type CheckpointRead } from './checkpoint-reader.ts';
import type { Checkpoint } from './checkpoint-writer.ts';
import type { LogEnd } from './log.ts';
import { BODY_IN_FILE } from './log-format.ts';
import { recoverLog, type BatchBytes, type LogDamage, type LogRecovered } from './log-recovery.ts';
import { LogSegments } from './log-segments.ts';
import { SegmentCensus } from './segment-census.ts';
import type { StoreState } from './store-state.ts';

export interface StoreRecoveryDeps {
  readonly disk: Disk;
  readonly log: OperatorLog;
  readonly clock: Clock;
  /** An empty state. */
  readonly newState: () => StoreState;
}

export interface StoreRecoveryOptions {
  /** The log's. */
  readonly directory: string;
  readonly keyBits: number;
  readonly salt: Buffer;
}

export interface StoreRecovered {
  readonly kind: 'recovered';
  readonly state: StoreState;
  readonly segments: LogSegments;
  readonly end: LogEnd;
  /** What each segment holds that is still pointed at. */
  readonly census: SegmentCensus;
  /** The one that was read; null: there was none. */
  readonly checkpoint: Checkpoint | null;
  /** Length to which the last segment has to be cut; null when it ends well. */
  readonly cutBytes: number | null;
  /** The last batch, to be written once more (see log-recovery.ts); null: there is none behind the checkpoint. */
  readonly lastBatch: BatchBytes | null;
  /** Files that a crash left, to be removed. */
  readonly leftovers: readonly string[];
}

export type StoreRecoveryOutcome = StoreRecovered | { readonly kind: 'newer'; readonly version: number } | LogDamage;

/** Rejects only with errors of the disk itself. */
export async function recoverStore(deps: StoreRecoveryDeps, options: StoreRecoveryOptions): Promise<StoreRecoveryOutcome> {
  const { disk, log, clock } = deps;
  const { directory } = options;
  const names = await disk.list(directory);
  const positions = names.map(parseCheckpointName).filter((position) => position !== null).sort((a, b) => b - a);
  const unfinished = names.filter(isUnfinishedCheckpoint).map((name) => `${directory}/${name}`);
  let damage: LogDamage | null = null;
  for (const position of positions) {
    const file = `${directory}/${checkpointName(position)}`;
    const state = deps.newState();
    const read = await readCheckpoint(disk, file, options, state, clock.monotonicNow());
    if (read.kind === 'newer') return read;
    if (read.kind === 'read') return repeatLog(deps, options, { state, start: read, unfinished, isOutdated: damage !== null });
    damage ??= { ...read, file };
    log.error('a checkpoint cannot be read: an older one and more of the log are used', { file, offset: read.offset, detail: read.detail });
  }
  const outcome = await repeatLog(deps, options, { state: deps.newState(), start: null, unfinished, isOutdated: damage !== null });
  if (outcome.kind !== 'damaged' || damage === null) return outcome;
  return { ...damage, detail: `${damage.detail}; without a checkpoint: ${outcome.file}: ${outcome.detail}` };
}

interface From {
  readonly state: StoreState;
  /** Null: the log's begin. */
  readonly start: CheckpointRead | null;
  readonly unfinished: readonly string[];
  /** There is a later checkpoint, which can't be read. */
  readonly isOutdated: boolean;
}

async function repeatLog(deps: StoreRecoveryDeps, options: StoreRecoveryOptions, { state, start, unfinished, isOutdated }: From): Promise<StoreRecoveryOutcome> {
  const recovered = await recoverLog(deps.disk, options, start, (record, at, bodyBytes) => {
    state.apply(record, at, bodyBytes, deps.clock.monotonicNow());
  });
  if (recovered.kind !== 'recovered') return recovered;
  const { end, cutBytes, lastBatch } = recovered;
  state.names.seal();
  const segments = new LogSegments(recovered.segments);
  if (isOutdated) dropGoneStaged(state, segments);
  const census = censusOf(state, segments);
  if (census.dangling !== null) {
    await segments.close();
    return { kind: 'damaged', file: options.directory, offset: census.dangling, detail: `the segment with log position ${census.dangling}, which is in use, is missing` };
  }
  const checkpoint = start === null ? null : { position: start.position, bytes: start.bytes };
  return { kind: 'recovered', state, segments, end, census, checkpoint, cutBytes, lastBatch, leftovers: leftoversOf(recovered, unfinished) };
}

/**
 * A staged body ends without a word in the log, and a later checkpoint may have let its segment go. Nobody counts on it: an
 * ACCEPT fetches it from another holder.
 */
function dropGoneStaged(state: StoreState, segments: LogSegments): void {
  const { ids, locations } = state.stagedNow();
  locations.forEach(({ at }, i) => {
    const bodyId = ids[i];
    if (bodyId !== undefined && at !== BODY_IN_FILE && segments.find(at) === null) state.forgetBody(null, bodyId, at);
  });
}

function censusOf(state: StoreState, segments: LogSegments): SegmentCensus {
  const census = new SegmentCensus(segments);
  const { index } = state;
  for (let bucket = index.nextBucket(0); bucket < BUCKET_COUNT; bucket = index.nextBucket(bucket + 1)) census.addEntries(index.entriesOf(bucket));
  for (const { at, size } of state.stagedNow().locations) census.addBody(at, size);
  return census;
}

function leftoversOf(recovered: LogRecovered, unfinished: readonly string[]): readonly string[] {
  return [...recovered.leftovers, ...unfinished];
}
