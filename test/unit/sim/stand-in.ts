/**
 * A stand-in for the node, to try the simulator itself: all nodes of a run share one perfect memory, so every run must
 * be good, and each planted fault must be found. It has none of the node's protocol.
 */
import { hash } from 'node:crypto';
import type { Ballot } from '../../../src/domain/ballot.ts';
import { ballotText, ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId, ClusterId, NodeId, OpId } from '../../../src/domain/ids.ts';
import type { Layout, LayoutMember } from '../../../src/domain/layout.ts';
import { compareNames } from '../../../src/domain/name-order.ts';
import type { BodyReader, ByteRange, ListOutcome, ListRequest, PutOutcome, PutStreamRequest, WriteCondition } from '../../../src/domain/object-operation.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import type { LiveRecord, OpResult } from '../../../src/domain/stored-object.ts';
import type { NodeService, NodeState, NodeView, RepairView, RingView } from '../../../src/node/node-service.ts';
import { nodeKey } from '../../../src/ring/hasher.ts';
import type { NodeDoors, NodePlace, NodeProgram, StartProgram } from '../../../src/sim/sim-node.ts';
import type { RegisterStore } from '../../../src/storage/register-store.ts';

export type PlantedFault = 'none' | 'stale read' | 'lost write' | 'timer left' | 'wrong pointer' | 'two layouts'
  | 'mixed versions' | 'stored half' | 'unlisted name' | 'listed twice' | 'listed by UTF-16' | 'stuck layout';

const KEY_BITS = 16;
/** Bodies above it are read piece by piece. */
export const INLINE_BYTES_MAX = 4096;
const PIECE_BYTES = 1000;
/** Writes after which a stuck layout lets nobody in. */
const STUCK_WRITES = 30;
const id = (text: string): string => hash('sha256', text).slice(0, 32);

interface Cell {
  readonly record: LiveRecord | null;
  readonly body: Buffer;
  readonly ops: readonly OpResult[];
}

/** What all stand-ins of a run share. */
export class StandInWorld {
  readonly cells = new Map<string, Cell>();
  /** What each cell held before the last put. */
  readonly #before = new Map<string, Cell>();
  readonly #members = new Map<string, LayoutMember>();
  readonly #fault: PlantedFault;
  #epoch = 0;
  #writes = 0;

  constructor(fault: PlantedFault) {
    this.#fault = fault;
  }

  readonly startProgram: StartProgram = async (doors, place) => {
    await doors.disk.makeDirectory('/data');
    await sleep(doors, 20);
    if (!(await doors.disk.list('/data')).includes('identity')) {
      const file = await doors.disk.open('/data/identity', 'create');
      await file.write(0, [Buffer.from('I am')]);
      await file.sync();
      await file.close();
      await doors.disk.syncDirectory('/data');
    }
    this.#join(place);
    return this.#program(doors, place);
  };

  #join(place: NodePlace): void {
    const name = `${place.host}:${place.port}`;
    if (this.#members.has(name) || (this.#fault === 'stuck layout' && this.#writes > STUCK_WRITES)) return;
    const nodeId = id(name) as NodeId;
    this.#members.set(name, { nodeId, name, advertise: name, tokens: [nodeKey(place, KEY_BITS)], zone: '', weight: 1, state: 'member' });
    this.#epoch++;
  }

  #layout(name: string): Layout {
    const members = [...this.#members.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    const owners = members.slice(0, 3).map(({ nodeId }) => nodeId);
    const arcs = [{ end: 0 as Position, old: owners, new: owners, since: new Map() }];
    const isLie = this.#fault === 'two layouts' && this.#epoch > 3 && name.endsWith('2');
    return {
      clusterId: id('cluster') as ClusterId, epoch: this.#epoch, keyBits: KEY_BITS, replicas: isLie ? 2 : 3, tokensPerNode: 1,
      candidatesPerToken: 1, members, voters: owners, phase: 'stable', arcs, recoveries: [],
    };
  }

  #program(doors: NodeDoors, place: NodePlace): NodeProgram {
    const name = `${place.host}:${place.port}`;
    let hasLeft = false;
    const floor = { epoch: 2 ** 30, hlc: 0, nodeId: id('nobody') };
    const store = { scan: () => ({ entries: [], isLast: true }), head: () => null, floor: () => floor, flushed: () => Promise.resolve() } as unknown as RegisterStore;
    const repair = { underReplicatedObjects: 0, comparisonsLeft: 0, hintsQueued: 0, summary: '' } as RepairView;
    const service: Pick<NodeService, 'objects' | 'view' | 'leave' | 'ring'> = {
      ring: () => ({ repair }) as RingView,
      objects: {
        put: async (request) => {
          await sleep(doors, doors.random.below(20));
          const outcome = this.#put(request.name, request.body, request.condition, request.opId ?? ('' as OpId));
          await sleep(doors, doors.random.below(20));
          return outcome;
        },
        get: async (request) => {
          await sleep(doors, doors.random.below(20));
          const isStale = this.#fault === 'stale read' && doors.random.below(20) === 0;
          const cell = (isStale ? this.#before : this.cells).get(request.name);
          if (cell === undefined || cell.record === null) return { kind: 'absent' };
          const isLarge = cell.body.length > INLINE_BYTES_MAX;
          return { kind: 'found', record: cell.record, body: isLarge ? null : cell.body, open: (range) => this.#open(doors, request.name, cell.body, range), isStalePossible: false };
        },
        putStream: (request) => this.#putStream(doors, request),
        list: async (request) => {
          await sleep(doors, doors.random.below(20));
          return this.#list(request);
        },
        delete: async (request) => {
          await sleep(doors, doors.random.below(20));
          const cell = this.cells.get(request.name);
          const done = cell?.ops.find(({ opId }) => opId === request.opId);
          if (done !== undefined) return { kind: 'deleted', wasPresent: true };
          if (!isMet(request.condition, cell?.record ?? null)) return { kind: 'precondition-failed', current: cell?.record?.version ?? null };
          const version = this.#nextVersion();
          const ops = [...(cell?.ops ?? []), { opId: request.opId as OpId, version, kind: 'deleted' as const }];
          this.cells.set(request.name, { record: null, body: Buffer.alloc(0), ops });
          return { kind: 'deleted', wasPresent: (cell?.record ?? null) !== null };
        },
      },
      view: () => this.#view(place, hasLeft ? 'left' : 'serving'),
      leave: async () => {
        this.#members.delete(name);
        this.#epoch++;
        hasLeft = true;
        return { kind: 'leaving' };
      },
    };
    if (this.#fault === 'timer left') doors.clock.after(1e9, () => {});
    return {
      service: service as NodeService,
      store,
      layout: () => this.#layout(name),
      logPosition: () => this.#writes,
      stop: () => sleep(doors, 100),
    };
  }

  #open(doors: NodeDoors, name: string, body: Buffer, { offset, length }: ByteRange): BodyReader {
    let at = offset;
    return {
      next: async () => {
        await sleep(doors, doors.random.below(20));
        const now = this.#fault === 'mixed versions' ? this.cells.get(name)?.body ?? body : body;
        const piece = now.subarray(at, Math.min(offset + length, at + PIECE_BYTES));
        at += PIECE_BYTES;
        return piece.length === 0 ? null : piece;
      },
      cancel: () => {},
    };
  }

  async #putStream(doors: NodeDoors, { source, expectedSize, verify, ...request }: PutStreamRequest): Promise<PutOutcome> {
    const pieces: Buffer[] = [];
    try {
      for (let piece = await source.next(); piece !== null; piece = await source.next()) pieces.push(piece);
    } catch (error) {
      if (this.#fault !== 'stored half') return { kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: String(error) };
    }
    const body = Buffer.concat(pieces);
    const wrong = verify();
    if (wrong !== null) return { kind: 'not-applied', ...wrong };
    if (expectedSize !== null && expectedSize !== body.length) return { kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: '' };
    await sleep(doors, doors.random.below(20));
    return this.#put(request.name, body, request.condition, request.opId ?? ('' as OpId));
  }

  #list({ prefix, delimiter, limit, cursor }: ListRequest): ListOutcome {
    const order = this.#fault === 'listed by UTF-16' ? (a: string, b: string): number => (a < b ? -1 : a === b ? 0 : 1) : compareNames;
    const there = [...this.cells].filter(([name, { record }]) => record !== null && name.startsWith(prefix)).map(([name]) => name);
    const shown = new Set(there.map((name) => {
      const cut = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
      return cut < 0 ? name : name.slice(0, cut + 1);
    }));
    // Not with the page size that the run itself uses at rest: the history has to show it.
    if (this.#fault === 'unlisted name' && limit !== 3) shown.delete('a/file 1');
    const all = [...shown].sort(order);
    const isBehind = (name: string): boolean => (this.#fault === 'listed twice' ? order(name, cursor ?? '') >= 0 : cursor === null || order(name, cursor) > 0);
    const page = all.filter(isBehind).slice(0, limit);
    const isPrefix = (name: string): boolean => delimiter !== null && name.endsWith(delimiter);
    const last = page.at(-1);
    return {
      kind: 'page', commonPrefixes: page.filter(isPrefix), cursor: last === undefined || last === all.at(-1) ? null : last,
      objects: page.filter((name) => !isPrefix(name)).map((name) => ({ name, size: 0, etag: '', modified: '' })),
    };
  }

  #nextVersion(): Ballot {
    return { epoch: 1, hlc: ++this.#writes, nodeId: id('writer') as NodeId };
  }

  #put(name: string, body: Buffer, condition: WriteCondition, opId: OpId): PutOutcome {
    const cell = this.cells.get(name);
    const done = cell?.ops.find((op) => op.opId === opId);
    const isCreated = done === undefined ? (cell?.record ?? null) === null : done.kind === 'created';
    if (done === undefined && !isMet(condition, cell?.record ?? null)) return { kind: 'precondition-failed', current: cell?.record?.version ?? null };
    const version = done?.version ?? this.#nextVersion();
    const ops = [...(cell?.ops ?? []), { opId, version, kind: isCreated ? ('created' as const) : ('replaced' as const) }];
    const sha256 = hash('sha256', body);
    const record: LiveRecord = {
      kind: 'object', version, ops, lineageFloor: ZERO_BALLOT, contentType: 'text/plain', meta: [], createdMs: 0,
      body: { bodyId: opId as string as BodyId, size: body.length, sha256, where: 'inline', chunkCrcs: [] },
    };
    const isLost = this.#fault === 'lost write' && this.#writes % 10 === 0;
    if (done === undefined && !isLost) {
      if (cell !== undefined) this.#before.set(name, cell);
      this.cells.set(name, { record, body, ops });
    }
    const text = ballotText(version);
    return {
      kind: 'stored',
      isCreated,
      receipt: { name, key: 0, size: body.length, sha256, etag: `"${text}"`, version: text, owner: '', replicas: [], replicationFactor: 1, durableCopies: 1 },
    };
  }

  #view(place: NodePlace, state: NodeState): NodeView {
    const ring = [...this.#members.values()].sort((a, b) => (a.tokens[0] as Position) - (b.tokens[0] as Position));
    const own = `${place.host}:${place.port}`;
    const index = ring.findIndex(({ name }) => name === own);
    const at = (offset: number): { host: string; port: number; key: number } => {
      const member = ring[(((index + offset) % ring.length) + ring.length) % ring.length] as LayoutMember;
      const [host, port] = member.name.split(':');
      return { host: host ?? '', port: Number(port), key: member.tokens[0] ?? 0 };
    };
    return {
      host: place.host, port: place.port, httpPort: null, adminPort: null, M: KEY_BITS, N: 2 ** KEY_BITS, key: nodeKey(place, KEY_BITS), nodeId: id(own),
      protocolMin: 1, protocolMax: 2, clusterId: id('cluster'), incarnation: 1, state, stateDetail: '', epoch: this.#epoch, successor: at(1),
      predecessor: at(this.#fault === 'wrong pointer' ? -2 : -1),
      successors: [1, 2, 3, 4].filter((offset) => offset < Math.max(2, ring.length)).map(at), replicationFactor: 3, storage: { totalBytes: 2 ** 40, freeBytes: 2 ** 39, ballastBytes: 0, level: 'ample', isReadOnly: false, isSlow: false, scrub: { progress: 0, lastPassAtMs: null, rotten: 0, unhealed: 0 }, detail: 'ok' }, transport: 'plaintext', progress: null, log: '',
    };
  }
}

function isMet(condition: WriteCondition, record: LiveRecord | null): boolean {
  switch (condition.kind) {
    case 'none': return true;
    case 'absent': return record === null;
    case 'present': return record !== null;
    case 'version': return record !== null && condition.versions.some((version) => ballotText(version) === ballotText(record.version));
  }
}

function sleep(doors: NodeDoors, delayMs: number): Promise<void> {
  return new Promise((resolve) => doors.clock.after(delayMs, resolve));
}
