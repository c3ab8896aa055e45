/** A NodeService over one map, for tests of the edges: right enough to see what the gateway asked for and what it shows. */
import { createHash } from 'node:crypto';
import { ballotText, equalBallots, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId, NodeId } from '../../src/domain/ids.ts';
import { CHUNK_BYTES, INLINE_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
import type { BodyReader, ByteRange, DeleteOutcome, DeleteRequest, GetOutcome, GetRequest, ListOutcome, ListRequest, PutOutcome, PutRequest, PutStreamRequest, WriteCondition } from '../../src/domain/object-operation.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import { EventLog } from '../../src/node/event-log.ts';
import type { ExplainView, FilesPage, HealthView, JoinOutcome, LeaveOutcome, NodeService, NodeView, RecoverOutcome, RingView } from '../../src/node/node-service.ts';

const ID = 'ab'.repeat(16) as NodeId;

export class FakeNode implements NodeService {
  readonly events = new EventLog(1);
  readonly stored = new Map<string, { readonly record: LiveRecord; readonly body: Buffer }>();
  readonly puts: PutRequest[] = [];
  readonly streams: PutStreamRequest[] = [];
  readonly deletes: DeleteRequest[] = [];
  readonly lists: ListRequest[] = [];
  readonly joins: (readonly string[])[] = [];
  leaves = 0;
  health: HealthView = { isOk: true, reason: 'serving' };
  joinOutcome: JoinOutcome = { kind: 'joined' };
  /** Whether the loss was accepted, of each recovery asked for. */
  readonly recoveries: boolean[] = [];
  recoverOutcome: RecoverOutcome = { kind: 'recovered', epoch: 9 };
  /** What the next operations answer instead of doing anything. */
  nextPut: PutOutcome | (() => Promise<PutOutcome>) | null = null;
  nextDelete: DeleteOutcome | null = null;
  nextGet: GetOutcome | null = null;
  nextList: ListOutcome | null = null;
  /** Reads all of a large body and keeps none of it. */
  isForgetful = false;
  /** Waits before each pull of a streamed body: a slow ring. */
  beforePull: () => Promise<void> = () => Promise.resolve();
  /** What the reader of a large body does at a position, instead of giving bytes. */
  atRead: (offset: number) => Promise<void> | null = () => null;
  readersCancelled = 0;
  #clock = 1_700_000_000_000 * 1024;

  readonly objects = {
    put: (request: PutRequest): Promise<PutOutcome> => this.#put(request),
    get: (request: GetRequest): Promise<GetOutcome> => this.#get(request),
    putStream: (request: PutStreamRequest): Promise<PutOutcome> => this.#putStream(request),
    list: (request: ListRequest): Promise<ListOutcome> => this.#list(request),
    delete: (request: DeleteRequest): Promise<DeleteOutcome> => this.#delete(request),
  };

  async #put(request: PutRequest): Promise<PutOutcome> {
    this.puts.push(request);
    if (this.nextPut !== null) return typeof this.nextPut === 'function' ? await this.nextPut() : this.nextPut;
    const current = this.stored.get(request.name)?.record.version ?? null;
    if (!holds(request.condition, current)) return { kind: 'precondition-failed', current };
    const version: Ballot = { epoch: 1, hlc: ++this.#clock, nodeId: ID };
    const sha256 = createHash('sha256').update(request.body).digest('hex');
    const size = request.body.length;
    this.stored.set(request.name, {
      body: Buffer.from(request.body),
      record: { kind: 'object', version, ops: [], lineageFloor: version, createdMs: 0, contentType: request.contentType, meta: request.meta, body: { bodyId: ID as unknown as BodyId, size, sha256, where: size > INLINE_BODY_BYTES_MAX ? 'file' : 'inline', chunkCrcs: [] } },
    });
    const receipt = { name: request.name, key: 1, size, sha256, etag: `"${ballotText(version)}"`, version: ballotText(version), owner: 'localhost:7400', replicas: [{ node: 'localhost:7400', durable: true }], replicationFactor: 1, durableCopies: 1 };
    return { kind: 'stored', isCreated: current === null, receipt };
  }

  /** As the coordinator does it: small bodies become a put, and nothing is visible before the last byte was verified. */
  async #putStream(request: PutStreamRequest): Promise<PutOutcome> {
    this.streams.push(request);
    const pieces: Buffer[] = [];
    let size = 0;
    try {
      for (;;) {
        await this.beforePull();
        const piece = await request.source.next();
        if (piece === null) break;
        size += piece.length;
        if (!this.isForgetful) pieces.push(piece);
      }
    } catch {
      return { kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: 'The body broke off.' };
    }
    if (request.expectedSize !== null && request.expectedSize !== size) return { kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: 'Another length.' };
    const refusal = request.verify();
    if (refusal !== null) return { kind: 'not-applied', ...refusal };
    const { name, contentType, meta, condition, opId } = request;
    return await this.#put({ name, contentType, meta, condition, opId, body: Buffer.concat(pieces) });
  }

  #list(request: ListRequest): Promise<ListOutcome> {
    this.lists.push(request);
    if (this.nextList !== null) return Promise.resolve(this.nextList);
    const names = [...this.stored.keys()].filter((name) => name.startsWith(request.prefix)).sort().filter((name) => request.cursor === null || name > request.cursor);
    const objects = names.slice(0, request.limit).map((name) => ({ name, size: this.stored.get(name)?.record.body.size ?? 0, etag: '"e"', modified: '2023-11-14T22:13:20.000Z' }));
    return Promise.resolve({ kind: 'page', objects, commonPrefixes: [], cursor: names.length > request.limit ? (objects.at(-1)?.name ?? null) : null });
  }

  #reader(body: Buffer, range: ByteRange): BodyReader {
    let at = range.offset;
    const end = range.offset + range.length;
    return {
      next: async () => {
        await this.atRead(at);
        const piece = body.subarray(at, Math.min(at + CHUNK_BYTES, end));
        at += piece.length;
        return piece.length === 0 ? null : piece;
      },
      cancel: () => void this.readersCancelled++,
    };
  }

  #get(request: GetRequest): Promise<GetOutcome> {
    if (this.nextGet !== null) return Promise.resolve(this.nextGet);
    const found = this.stored.get(request.name);
    if (found === undefined) return Promise.resolve({ kind: 'absent' });
    return Promise.resolve({ kind: 'found', record: found.record, body: request.wantBody && found.record.body.where === 'inline' ? found.body : null, open: (range) => this.#reader(found.body, range), isStalePossible: request.consistency === 'one' });
  }

  #delete(request: DeleteRequest): Promise<DeleteOutcome> {
    this.deletes.push(request);
    if (this.nextDelete !== null) return Promise.resolve(this.nextDelete);
    const current = this.stored.get(request.name)?.record.version ?? null;
    if (!holds(request.condition, current)) return Promise.resolve({ kind: 'precondition-failed', current });
    return Promise.resolve({ kind: 'deleted', wasPresent: this.stored.delete(request.name) });
  }

  view(): NodeView {
    const self = { host: 'localhost', port: 7400, key: 9 };
    return { host: 'localhost', port: 7400, httpPort: 8080, adminPort: 9464, M: 16, N: 65536, key: 9, nodeId: ID, protocolMin: 1, protocolMax: 2, clusterId: ID, incarnation: 1, state: 'serving', stateDetail: 'serving', epoch: 1, successor: self, predecessor: self, successors: [self], replicationFactor: 1, storage: { totalBytes: 2 ** 40, freeBytes: 2 ** 39, ballastBytes: 0, level: 'ample', isReadOnly: false, isSlow: false, scrub: { progress: 0, lastPassAtMs: null, rotten: 0, unhealed: 0 }, detail: 'ok' }, transport: 'plaintext', progress: null, log: 'log 0.1 MB' };
  }

  files(cursor: string | null, limit: number): Promise<FilesPage> {
    const all = [...this.stored.keys()].sort();
    const from = cursor === null ? 0 : Number(cursor);
    return Promise.resolve({ files: all.slice(from, from + limit), backUpFiles: [], cursor: from + limit < all.length ? String(from + limit) : null });
  }

  ring(): RingView {
    const member = { nodeId: ID, name: 'localhost:7400', advertise: 'localhost:7400', key: 9, tokens: [9], zone: '', weight: 1, state: 'member' as const, liveness: 'alive' as const, downForMs: 0, trouble: null, disk: 'ok' as const, isVoter: true, ownedShare: 1, heldShare: 1 };
    return { clusterId: ID, epoch: 1, phase: 'stable', M: 16, replicas: 3, replicationFactor: 1, members: [member], voters: [ID], arcs: { total: 1, healthy: 1, degraded: 0, unavailable: 0 }, moves: { arcs: 0, keysLeft: 0, bytesLeft: 0, estimatedSeconds: null }, repair: { underReplicatedObjects: 0, hintsQueued: 0, oldestHintMs: 0, keysPending: 0, comparisonsLeft: 0, oldestUnrepairedSeconds: null, bytesPerSecond: 1, summary: 'Nothing lacks a copy.' }, isSafe: true, safety: 'Everything is safe.', isRemovable: false, removal: 'No: it is the last.', recoveries: [], warnings: ['One member tolerates no failure.'] };
  }

  explain(name: string): Promise<ExplainView> {
    return Promise.resolve({ name, hash: 'f'.repeat(64), key: 7, arc: { from: 9, to: 9 }, epoch: 1, owner: 'localhost:7400', preferenceList: [{ node: 'localhost:7400', nodeId: ID, reason: 'first token clockwise', liveness: 'alive', holds: { version: null, kind: 'none', size: 0, sha256: null, durable: false } }], nextOwner: null, repairsPending: 0 });
  }

  join(seeds: readonly string[]): Promise<JoinOutcome> {
    this.joins.push(seeds);
    return Promise.resolve(this.joinOutcome);
  }

  recover(acceptDataLoss: boolean): Promise<RecoverOutcome> {
    this.recoveries.push(acceptDataLoss);
    return Promise.resolve(this.recoverOutcome);
  }

  leave(): Promise<LeaveOutcome> {
    this.leaves++;
    return Promise.resolve({ kind: 'leaving' });
  }

  readiness(): HealthView {
    return this.health;
  }

  startup(): HealthView {
    return this.health;
  }

  clusterHealth(): HealthView {
    return this.health;
  }
}

function holds(condition: WriteCondition, current: Ballot | null): boolean {
  switch (condition.kind) {
    case 'none':
      return true;
    case 'absent':
      return current === null;
    case 'present':
      return current !== null;
    case 'version':
      return current !== null && condition.versions.some((version) => equalBallots(version, current));
  }
}
