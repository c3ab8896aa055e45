/**
 * Register kernel: the rules of register/ under fire, before and beside any shell. Five nodes, several keys, clients
 * with puts, gets, deletes and conditional writes, moves with catch-up, crashes, wiped disks, expiring staged bodies,
 * erased tombstones, wrong clocks and a bad network, on one seed. Every history is checked for linearizability; when the
 * faults are over, every key has to be readable, and every tombstone has to go.
 *
 * It leaves out what the whole-node simulator has: frames, log files, membership. So it is fast enough for thousands of
 * seeds in a test. Source: protocol sections C.1 and H.2.
 */
import { ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import { must } from '../../domain/assert.ts';
import type { BodyId, NodeId, OpId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import type { WriteCondition } from '../../domain/object-operation.ts';
import type { AcceptorState } from '../../register/acceptor.ts';
import { ErasureTally, viewTombstone } from '../../register/erasure.ts';
import type { AcceptedValue } from '../../register/read-decision.ts';
import { checkLinearizability, type HistoryEntry } from '../checkers/linearizability.ts';
import { OBJECT_MODEL, type ModelCondition, type ModelOp, type ModelResult } from '../checkers/object-model.ts';
import { KernelCoordinator, type KernelWriteResult } from './kernel-coordinator.ts';
import type { KernelArc, KernelLayout } from './kernel-disk.ts';
import { KernelReplica, type Held, type Stale } from './kernel-replica.ts';
import { KernelSteward, REPLICAS } from './kernel-steward.ts';
import { KernelWorld, type KernelNode } from './kernel-world.ts';

const NODES = 5;
const KEYS = 3;
const CLIENTS = 5;
/** Virtual time of faults, and of quiet afterwards. */
const STORM = 6000;
const QUIET = 6000;
/** Of the check of one key: about one history in 80,000 takes more than 200,000 steps. */
const STEPS_MAX = 2_000_000;

export interface KernelReport {
  readonly seed: number;
  /** Null: nothing wrong. */
  readonly violation: string | null;
  readonly isUndecided: boolean;
  readonly counts: KernelWorld['counts'];
}

type Entry = HistoryEntry<ModelOp, ModelResult>;

class RegisterKernel {
  readonly #world: KernelWorld;
  readonly #rules: Rules;
  readonly #replicas: readonly KernelReplica[];
  readonly #steward: KernelSteward;
  readonly #keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
  readonly #history: Entry[] = [];
  /** Last value seen of each key: base of conditional writes. */
  readonly #seen = new Map<string, { readonly tag: string; readonly version: Ballot }>();
  #isStormy = true;
  #tags = 0;

  constructor(seed: number, rules: Rules) {
    this.#rules = rules;
    this.#world = new KernelWorld(seed, NODES, (ids) => this.#founding(ids), rules);
    this.#replicas = this.#world.nodes.map((node) => new KernelReplica(this.#world, node, rules));
    const layout = must(this.#world.nodes[0], 'first node').disk.live.layout;
    this.#steward = new KernelSteward(this.#world, rules, layout, this.#replicaOf);
  }

  readonly #replicaOf = (node: KernelNode): KernelReplica => must(this.#replicas[node.index], 'replica');

  #founding(ids: readonly NodeId[]): KernelLayout {
    const arcs = this.#keys.map((key, i): [string, KernelArc] => {
      const set = Array.from({ length: REPLICAS }, (_, j) => must(ids[(i + j) % ids.length], 'node'));
      return [key, { old: set, new: set, isMoving: false, since: new Map() }];
    });
    return { epoch: 1, isMoving: false, arcs: new Map(arcs) };
  }

  run(seed: number): KernelReport {
    const world = this.#world;
    for (let client = 0; client < CLIENTS; client++) this.#nextOperation(`c${client}`);
    this.#every(20, () => { this.#fault(); });
    this.#every(15, () => { this.#steward.tick(this.#isStormy && world.random.chance(world.rates.move)); });
    this.#every(40, () => { this.#reap(); });
    world.runUntil(STORM);
    this.#calm();
    world.runUntil(STORM + QUIET / 2);
    let answered = 0;
    for (const key of this.#keys) this.#get('last', key, () => { answered++; });
    world.runUntil(STORM + QUIET);
    const verdict = checkLinearizability(this.#history, OBJECT_MODEL, STEPS_MAX);
    let violation: string | null = null;
    if (verdict.kind === 'violation') {
      const show = (e: Entry): string => `[${e.invokeAt},${e.returnAt ?? '?'}] ${e.client} ${JSON.stringify(e.op)} -> ${JSON.stringify(e.result)}`;
      violation = `not linearizable: ${verdict.key}\n${verdict.prefix.map(show).join('\n')}\nstuck:\n${verdict.stuck.map(show).join('\n')}`;
    } else if (answered < KEYS) {
      violation = `${KEYS - answered} keys can't be read after the faults`;
    } else if (this.#leftTombstones().length > 0) {
      violation = `tombstones are never erased: ${this.#leftTombstones().join(', ')}`;
    }
    return { seed, violation, isUndecided: verdict.kind === 'undecided', counts: world.counts };
  }

  #every(period: number, run: () => void): void {
    this.#world.after(period, () => {
      run();
      this.#every(period, run);
    });
  }

  #fault(): void {
    const world = this.#world;
    const { random, rates } = world;
    for (const node of world.nodes) {
      if (!node.isUp) continue;
      if (!node.disk.live.layout.arcs.has('k0')) this.#steward.announce(node);
      if (!this.#isStormy) {
        if (node.disk.live.layout.epoch < this.#steward.newest.epoch) this.#steward.announce(node);
        continue;
      }
      if (random.chance(rates.expiry)) this.#expire(node);
      if (random.chance(rates.wipe) && this.#steward.isWhole) {
        world.wipe(node, this.#steward.newest);
        this.#restartLater(node);
      } else if (random.chance(rates.crash)) {
        world.crash(node);
        this.#restartLater(node);
      }
    }
    if (this.#isStormy && random.chance(rates.cut)) {
      const cutOff = random.pick(world.nodes);
      for (const other of world.nodes) {
        if (random.chance(0.8)) world.cut(cutOff, other);
        if (random.chance(0.8)) world.cut(other, cutOff);
      }
      world.after(100 + random.below(900), () => { world.heal(); });
    }
    if (this.#isStormy && random.chance(0.002) && rates.crash > 0) {
      for (const node of world.nodes) {
        if (!node.isUp) continue;
        world.crash(node);
        this.#restartLater(node);
      }
    }
  }

  #restartLater(node: KernelNode): void {
    this.#world.after(20 + this.#world.random.below(400), () => { node.isUp = true; });
  }

  /** A staged body that no record names runs out. */
  #expire(node: KernelNode): void {
    const staged = [...node.disk.live.bodies].filter((body) => !node.disk.live.isNamed(body));
    if (staged.length === 0) return;
    const body = this.#world.random.pick(staged);
    this.#world.write(node, (state) => { if (!state.isNamed(body)) state.bodies.delete(body); }, () => undefined);
  }

  #calm(): void {
    this.#isStormy = false;
    const { rates } = this.#world;
    this.#world.rates = { ...rates, loss: 0, repeat: 0, crash: 0, wipe: 0, cut: 0, expiry: 0, move: 0 };
    this.#world.heal();
    for (const node of this.#world.nodes) node.isUp = true;
  }

  /** A replica looks whether its tombstone of a key can go (rule R13); evens out what differs. */
  #reap(): void {
    const world = this.#world;
    const key = world.random.pick(this.#keys);
    const holders = world.nodes.filter(({ isUp, disk }) => isUp && disk.live.record(key)?.kind === 'tombstone');
    if (holders.length === 0 || !world.random.chance(0.5)) return;
    const node = world.random.pick(holders);
    const { live } = node.disk;
    const { layout } = live;
    const arc = layout.arcs.get(key);
    if (layout.isMoving || arc?.old.includes(node.id) !== true) return;
    const ballot = live.acceptor(key).accepted;
    const coordinator = new KernelCoordinator(world, node, this.#rules, this.#replicaOf);
    const tally = new ErasureTally(arc, this.#rules);
    let isOpen = true;
    for (const id of arc.old) {
      coordinator.call<Stale | Held>(id, (replica, reply) => { replica.read(layout.epoch, key, reply); }, (answer) => {
        const decision = answer?.kind === 'held' ? tally.add(id, viewTombstone(acceptorOf(answer), ballot)) : tally.fail(id);
        if (!isOpen || decision === 'wait') return;
        isOpen = false;
        if (decision === 'even-out') coordinator.write(key, { kind: 'identity' }, () => undefined);
        if (decision !== 'erase') return;
        for (const replica of arc.old) {
          const target = world.byId(replica);
          if (target !== undefined) world.send(node, target, () => { this.#replicaOf(target).erase(layout.epoch, key, ballot); });
        }
      });
    }
  }

  /** Keys of which a replica still has a tombstone, long after the last write: they would stay for ever. */
  #leftTombstones(): readonly string[] {
    return this.#keys.filter((key) => {
      const replicas = this.#steward.newest.arcs.get(key)?.old ?? [];
      return replicas.some((id) => this.#world.byId(id)?.disk.live.record(key)?.kind === 'tombstone');
    });
  }

  // ------------------------------------------------------------------------------------------------------ clients

  #nextOperation(client: string): void {
    const world = this.#world;
    const { random } = world;
    world.after(1 + random.below(120), () => {
      if (!this.#isStormy) return;
      const next = (): void => { this.#nextOperation(client); };
      const key = random.pick(this.#keys);
      const dice = random.float();
      if (dice < 0.35) this.#get(client, key, next);
      else if (dice < 0.85) this.#put(client, key, next);
      else this.#delete(client, key, next);
    });
  }

  /** Runs it at a living node; the client gives up when that node dies. */
  #atNode(run: (coordinator: KernelCoordinator, node: KernelNode) => void, gone: () => void): void {
    const world = this.#world;
    const node = world.random.pick(world.nodes);
    if (!node.isUp) {
      world.after(10, gone);
      return;
    }
    world.counts.operations++;
    const { boot } = node;
    world.after(1500, () => { if (node.boot !== boot) gone(); });
    run(new KernelCoordinator(world, node, this.#rules, this.#replicaOf), node);
  }

  #condition(key: string): { readonly wire: WriteCondition; readonly model: ModelCondition } {
    const dice = this.#world.random.float();
    const seen = this.#seen.get(key);
    if (dice < 0.3 && seen !== undefined) return { wire: { kind: 'version', versions: [seen.version] }, model: { kind: 'tag', tag: seen.tag } };
    if (dice < 0.4) return { wire: { kind: 'absent' }, model: { kind: 'absent' } };
    return { wire: { kind: 'none' }, model: { kind: 'none' } };
  }

  #get(client: string, key: string, next: () => void): void {
    const invokeAt = this.#world.now;
    const once = onlyOnce(next);
    this.#atNode((coordinator) => {
      coordinator.read(key, (value: AcceptedValue | null | undefined) => {
        if (value !== undefined) {
          const record = value?.record.kind === 'object' ? value.record : null;
          if (record !== null) this.#seen.set(key, { tag: record.body.sha256, version: record.version });
          this.#history.push({ client, key, op: { kind: 'get' }, invokeAt, returnAt: this.#world.now, result: { kind: 'value', tag: record?.body.sha256 ?? null } });
          once();
        } else if (this.#isStormy) once();
      });
    }, this.#isStormy ? once : () => undefined);
  }

  #put(client: string, key: string, next: () => void): void {
    const tag = `v${this.#tags++}`;
    const { wire, model } = this.#condition(key);
    const body = { bodyId: tag.padStart(32, '0') as BodyId, size: 1, sha256: tag, where: 'inline', chunkCrcs: [] } as const;
    const op: ModelOp = { kind: 'put', tag, condition: model };
    this.#write(client, key, op, next, (coordinator, done) => {
      coordinator.write(key, { kind: 'put', opId: tag as OpId, condition: wire, body, contentType: '', meta: [] }, done);
    });
  }

  #delete(client: string, key: string, next: () => void): void {
    const opId = `d${this.#tags++}` as OpId;
    const { wire, model } = this.#condition(key);
    const isConditional = wire.kind === 'version';
    const condition: WriteCondition = isConditional ? wire : { kind: 'none' };
    const op: ModelOp = { kind: 'delete', condition: isConditional ? model : { kind: 'none' } };
    this.#write(client, key, op, next, (coordinator, done) => { coordinator.write(key, { kind: 'delete', opId, condition }, done); });
  }

  #write(client: string, key: string, op: ModelOp, next: () => void, run: (coordinator: KernelCoordinator, done: (result: KernelWriteResult) => void) => void): void {
    const world = this.#world;
    const invokeAt = world.now;
    const once = onlyOnce(next);
    let isRecorded = false;
    const record = (result: ModelResult | null): void => {
      if (isRecorded) return;
      isRecorded = true;
      if (result === null) world.counts.unknown++;
      this.#history.push({ client, key, op, invokeAt, returnAt: result === null ? null : world.now, result });
    };
    this.#atNode((coordinator) => {
      run(coordinator, (result) => {
        record(modelResult(result));
        const isUnknown = result.kind === 'unknown' || (result.kind === 'gone' && result.isProposed);
        if (isUnknown && world.random.chance(0.5)) coordinator.write(key, { kind: 'identity' }, () => undefined);
        once();
      });
      // The node may die with the operation: then nobody knows.
      world.after(1400, () => { record(null); });
    }, once);
  }
}

/** Null: unknown. `gone` before any ACCEPT left certainly changed nothing; as an unknown it would only be looser. */
function modelResult(result: KernelWriteResult): ModelResult | null {
  switch (result.kind) {
    case 'applied':
      return result.op.kind === 'deleted' ? { kind: 'deleted', wasPresent: true } : { kind: 'stored', isCreated: result.op.kind === 'created' };
    case 'unchanged':
      return { kind: 'deleted', wasPresent: false };
    case 'precondition-failed':
      return { kind: 'precondition-failed' };
    case 'unknown':
    case 'gone':
      return null;
  }
}

function acceptorOf({ promised, value, floor }: Held): AcceptorState {
  return { promised, accepted: value?.ballot ?? ZERO_BALLOT, floor };
}

function onlyOnce(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    run();
  };
}

/** Runs one seed with these rules. The same seed and rules give the same report. */
export function runRegisterKernel(seed: number, rules: Rules): KernelReport {
  return new RegisterKernel(seed, rules).run(seed);
}
