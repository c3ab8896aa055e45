/**
 * The giving side of every copy: pages of registers, whole records, and receipts. Copies are always pulled: who lacks
 * something asks for it, in its own epoch, and nobody ever pushes what it once owned (that is how deleted files come
 * back). A reply shows many registers, so it follows the fsync of everything applied before it (rule R1).
 *
 * Source: protocol section E (2, 3, 6), rules R1, R3, R15; [Dynamo07] "Adding/Removing Storage Nodes".
 */
import { compareBallots } from '../domain/ballot.ts';
import { FRAME_BODY_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { RECORDS_HEAD_BYTES_MAX, transferredRecordBytes } from '../protocol/copy-codec.ts';
import type {
  PageReply, PageRequest, ReceiptsReply, ReceiptsRequest, RecordsReply, RecordsRequest, StaleEpochReply, TransferredRecord,
} from '../protocol/message.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import { epochMismatch } from './epoch-mismatch.ts';

export interface CopySourceDeps {
  /** Resolves when more than these bytes may be given. */
  readonly pace: (bytes: number) => Promise<void>;
  /** Bytes of inline bodies that leave this node. */
  readonly onGiven: (bytes: number) => void;
  readonly store: RegisterStore;
  readonly views: ViewSource;
}

export interface CopySourceOptions {
  /** Entries of one page at most: 84 bytes each, so 512 stay below a frame's head. */
  readonly pageEntriesMax: number;
}

export class CopySource {
  readonly #deps: CopySourceDeps;
  readonly #options: CopySourceOptions;

  constructor(deps: CopySourceDeps, options: CopySourceOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Registers of an arc in key order. Stale when the epochs differ. */
  async page(request: PageRequest): Promise<PageReply | StaleEpochReply> {
    const { store, views } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const stale = epochMismatch(views, request.epoch);
    if (stale !== null) return stale;
    const arc = { from: request.from, to: request.to };
    const { entries, isLast } = store.scan(arc, request.after, Math.min(Math.max(request.limit, 1), this.#options.pageEntriesMax));
    const reply: PageReply = {
      kind: 'page-reply',
      epoch: request.epoch,
      entries: entries.map((e) => ({ key: e.key, promised: e.promised, accepted: e.accepted, size: e.size })),
      isLast,
      floor: store.floorOf(arc),
    };
    await store.flushed();
    return reply;
  }

  /** Whole records with their inline bodies, as many of the asked keys as fit one frame. */
  async records(request: RecordsRequest): Promise<RecordsReply | StaleEpochReply> {
    const { store, views } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const stale = epochMismatch(views, request.epoch);
    if (stale !== null) return stale;
    const records: TransferredRecord[] = [];
    const bodies: Buffer[] = [];
    let answered = 0;
    let headBytes = 0;
    let bodyBytes = 0;
    for (const key of request.keys) {
      const head = store.head(key);
      if (head !== null && head.kind !== 'none') {
        const loaded = await store.load(key, head);
        if (loaded !== null) {
          const isInline = loaded.record.kind === 'object' && loaded.record.body.where === 'inline';
          if (isInline && bodyBytes + head.size > FRAME_BODY_BYTES_MAX && records.length > 0) break;
          const bytes = await this.#inlineBody(key, loaded.record);
          const item: TransferredRecord = {
            key, name: loaded.name, ballot: head.accepted, record: loaded.record, bodyOffset: bodyBytes, bodyLength: bytes?.length ?? 0,
          };
          headBytes += transferredRecordBytes(item);
          if (headBytes > RECORDS_HEAD_BYTES_MAX) break;
          records.push(item);
          if (bytes !== null && bytes.length > 0) bodies.push(bytes);
          bodyBytes += bytes?.length ?? 0;
        }
      }
      answered += 1;
    }
    await this.#deps.pace(bodyBytes + headBytes);
    await store.flushed();
    const left = epochMismatch(views, request.epoch);
    if (left !== null) return left;
    if (bodyBytes > 0) this.#deps.onGiven(bodyBytes);
    return { kind: 'records-reply', epoch: request.epoch, records, answered, body: bodies.length === 0 ? null : Buffer.concat(bodies) };
  }

  /** Whether each record, or a later one of its key, is durable here, or was erased. */
  async receipts(request: ReceiptsRequest): Promise<ReceiptsReply | StaleEpochReply> {
    const { store, views } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const stale = epochMismatch(views, request.epoch);
    if (stale !== null) return stale;
    const states = request.entries.map(({ key, accepted }): ReceiptsReply['states'][number] => {
      const head = store.head(key);
      if (head !== null && head.kind !== 'none') return compareBallots(head.accepted, accepted) >= 0 ? 'held' : 'lacking';
      return compareBallots(store.floor(key), accepted) >= 0 ? 'erased' : 'lacking';
    });
    await store.flushed();
    return { kind: 'receipts-reply', epoch: request.epoch, states };
  }

  async #inlineBody(key: TransferredRecord['key'], record: ObjectRecord): Promise<Buffer | null> {
    if (record.kind === 'tombstone' || record.body.where === 'file') return null;
    const found = await this.#deps.store.readBody(key, record.body.bodyId, 0, record.body.size);
    return found?.bytes ?? null;
  }
}
