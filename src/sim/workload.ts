/**
 * Clients: each calls the object service of a random node, one operation at a time, and retries under the same operation
 * id through another node when the answer is "not applied" or "unknown", as a client with an Idempotency-Key does.
 *
 * What is recorded is what such a client may conclude. After an unknown answer a later refusal proves nothing about the
 * first try (it may still be on its way), so the whole operation stays unknown; a later success is the one application.
 */
import { hash } from 'node:crypto';
import { assertNever } from '../domain/assert.ts';
import type { Ballot } from '../domain/ballot.ts';
import type { BodyId, OpId } from '../domain/ids.ts';
import type { DeleteOutcome, GetOutcome, PutOutcome, WriteCondition } from '../domain/object-operation.ts';
import type { LiveRecord } from '../domain/stored-object.ts';
import type { ObjectService } from '../node/node-service.ts';
import type { Random } from '../ports/random.ts';
import type { ModelCondition, ModelOp, ModelResult } from './checkers/object-model.ts';
import type { History } from './history.ts';
import type { SimClock } from './sim-clock.ts';
import { chance, pick } from './sim-random.ts';

/** Bytes of bodies: nothing, one byte, small, around a page, in between, the inline limit. */
export const BODY_SIZES: readonly number[] = [0, 1, 100, 4096, 60_000, 131_072];
/** How often each is drawn: large bodies cost time and rarely find more. */
const SIZE_WEIGHTS: readonly number[] = [2, 2, 6, 4, 1, 1];

/** Share of the operations that go to one name, so that clients meet. */
const HOT_SHARE = 0.3;

/** An entry to the ring: a node's object service as a client reaches it. */
export interface Gateway {
  readonly name: string;
  readonly objects: ObjectService;
  /** Resolves when the node dies: the client's connection breaks. */
  readonly died: Promise<void>;
}

export interface WorkloadDeps {
  readonly clock: SimClock;
  readonly random: Random;
  readonly history: History;
  /** Nodes whose gateway is open now; empty: none. */
  readonly gateways: () => readonly Gateway[];
  readonly note: (who: string, text: string) => void;
  readonly fail: (violation: string) => void;
}

export interface WorkloadOptions {
  readonly names: readonly string[];
  readonly clients: number;
  readonly operationsPerClient: number;
  /** Virtual milliseconds between a client's operations, at most. */
  readonly thinkMsMax: number;
  /** Tries of a read; of a write at most, some clients give up earlier. */
  readonly triesMax: number;
}

/** Counts of what happened, by kind of operation and kind of end. */
export type WorkloadCounts = Map<string, number>;

type Attempt<T> = T | { readonly kind: 'no-gateway' } | { readonly kind: 'broken' };

interface KnownVersion {
  readonly version: Ballot;
  readonly tag: string;
}

export class Workload {
  readonly counts: WorkloadCounts = new Map();
  readonly #deps: WorkloadDeps;
  readonly #options: WorkloadOptions;
  /** The version each name had when somebody last looked: what conditional writes are based on. */
  readonly #known = new Map<string, KnownVersion>();

  constructor(deps: WorkloadDeps, options: WorkloadOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Runs all clients to their end. */
  async run(): Promise<void> {
    const clients = Array.from({ length: this.#options.clients }, (_, i) => this.#client(`client ${i}`));
    await Promise.all(clients);
  }

  async #client(who: string): Promise<void> {
    const random = this.#deps.random.fork(who);
    for (let i = 0; i < this.#options.operationsPerClient; i++) {
      await this.#deps.clock.sleep(random.float() * this.#options.thinkMsMax);
      const name = chance(random, HOT_SHARE) ? (this.#options.names[0] as string) : pick(random, this.#options.names);
      const draw = random.float();
      if (draw < 0.4) await this.get(who, name, random);
      else if (draw < 0.85) await this.put(who, name, random);
      else await this.remove(who, name, random);
    }
  }

  /** One linearizable read; retried until something answers or the tries are used up. Undefined: nothing answered. */
  async get(who: string, name: string, random: Random): Promise<string | null | undefined> {
    const number = this.#invoke(who, name, { kind: 'get' });
    for (let attempt = 0; attempt < this.#options.triesMax; attempt++) {
      const outcome = await this.#call<GetOutcome>(random, (objects) => objects.get({ name, consistency: 'linearizable', wantBody: true }));
      if (outcome.kind === 'found' || outcome.kind === 'absent') {
        const tag = outcome.kind === 'absent' ? null : this.#checkFound(name, outcome.record, outcome.body);
        this.#returned(who, number, name, 'get', { kind: 'value', tag });
        return tag;
      }
      await this.#backOff(random);
    }
    this.#dropped(who, number, name, 'get');
    return undefined;
  }

  async put(who: string, name: string, random: Random): Promise<void> {
    const opId = random.hex(16) as OpId;
    const body = Buffer.alloc(drawSize(random), opId);
    this.#deps.history.rememberDigest(opId, hash('sha256', body));
    const { condition, model } = this.#drawCondition(name, random);
    const number = this.#invoke(who, name, { kind: 'put', tag: opId, condition: model });
    await this.#write<PutOutcome>(who, number, name, 'put', random, (objects) =>
      objects.put({ name, body: Buffer.from(body), contentType: 'text/plain', meta: [['op', opId]], condition, opId }),
    );
  }

  async remove(who: string, name: string, random: Random): Promise<void> {
    const opId = random.hex(16) as OpId;
    const { condition, model } = this.#drawCondition(name, random);
    const number = this.#invoke(who, name, { kind: 'delete', condition: model });
    await this.#write<DeleteOutcome>(who, number, name, 'delete', random, (objects) => objects.delete({ name, condition, opId }));
  }

  async #write<T extends PutOutcome | DeleteOutcome>(
    who: string,
    number: number,
    name: string,
    what: string,
    random: Random,
    operation: (objects: ObjectService) => Promise<T>,
  ): Promise<void> {
    let isUncertain = false;
    const tries = 1 + random.below(this.#options.triesMax);
    for (let attempt = 0; attempt < tries; attempt++) {
      const outcome: Attempt<PutOutcome | DeleteOutcome> = await this.#call<PutOutcome | DeleteOutcome>(random, operation);
      switch (outcome.kind) {
        case 'stored':
          return this.#returned(who, number, name, what, { kind: 'stored', isCreated: outcome.isCreated });
        case 'deleted':
          // After an unknown try "was not there" may mean that this very operation removed it.
          if (isUncertain && !outcome.wasPresent) return this.#unknown(who, name, what);
          return this.#returned(who, number, name, what, { kind: 'deleted', wasPresent: outcome.wasPresent });
        case 'precondition-failed':
          if (isUncertain) return this.#unknown(who, name, what);
          return this.#returned(who, number, name, what, { kind: 'precondition-failed' });
        case 'unknown':
        case 'broken':
          isUncertain = true;
          break;
        case 'not-applied':
        case 'no-gateway':
          break;
        default:
          assertNever(outcome);
      }
      await this.#backOff(random);
    }
    if (isUncertain) this.#unknown(who, name, what);
    else this.#dropped(who, number, name, what);
  }

  /** Calls a random node; `broken` when it dies before it answers. */
  async #call<T>(random: Random, operation: (objects: ObjectService) => Promise<T>): Promise<Attempt<T>> {
    const gateways = this.#deps.gateways();
    if (gateways.length === 0) return { kind: 'no-gateway' };
    const { objects, died } = pick(random, gateways);
    return await Promise.race([operation(objects), died.then(() => ({ kind: 'broken' as const }))]);
  }

  #drawCondition(name: string, random: Random): { readonly condition: WriteCondition; readonly model: ModelCondition } {
    const known = this.#known.get(name);
    if (chance(random, 0.6)) return { condition: { kind: 'none' }, model: { kind: 'none' } };
    if (known !== undefined && chance(random, 0.7)) {
      return { condition: { kind: 'version', versions: [known.version] }, model: { kind: 'tag', tag: known.tag } };
    }
    const kind = chance(random, 0.5) ? 'absent' : 'present';
    return { condition: { kind }, model: { kind } };
  }

  /** Holds the answer of a read against what the writer sent; gives the value's tag. */
  #checkFound(name: string, record: LiveRecord, body: Buffer | null): string {
    const tag = record.ops.at(-1)?.opId ?? 'no operation';
    this.#known.set(name, { version: record.version, tag });
    const expected = this.#deps.history.digestOf(tag);
    if (expected === undefined) this.#deps.fail(`"${name}" holds a value that nobody wrote: ${tag}`);
    if (body === null || hash('sha256', body) !== record.body.sha256 || record.body.sha256 !== expected) {
      this.#deps.fail(`"${name}" was read with other bytes than ${tag.slice(0, 8)} wrote (body ${bodyText(record.body.bodyId)})`);
    }
    return tag;
  }

  #invoke(who: string, name: string, op: ModelOp): number {
    const tag = op.kind === 'put' ? ` ${op.tag.slice(0, 8)}` : '';
    const condition = op.kind === 'get' || op.condition.kind === 'none' ? '' : ` if ${op.condition.kind}`;
    this.#deps.note(who, `${op.kind} ${name}${tag}${condition}`);
    return this.#deps.history.invoke(who, name, op);
  }

  #returned(who: string, number: number, name: string, what: string, result: ModelResult): void {
    this.#deps.history.returned(number, result);
    const detail = result.kind === 'value' ? ` ${result.tag === null ? 'nothing' : result.tag.slice(0, 8)}` : '';
    this.#end(who, name, what, `${result.kind}${detail}`, result.kind);
  }

  #unknown(who: string, name: string, what: string): void {
    this.#end(who, name, what, 'unknown', 'unknown');
  }

  #dropped(who: string, number: number, name: string, what: string): void {
    this.#deps.history.drop(number);
    this.#end(who, name, what, 'failed', 'failed');
  }

  #end(who: string, name: string, what: string, text: string, kind: string): void {
    this.#deps.note(who, `${what} ${name} -> ${text}`);
    const counted = `${what} ${kind}`;
    this.counts.set(counted, (this.counts.get(counted) ?? 0) + 1);
  }

  #backOff(random: Random): Promise<void> {
    return this.#deps.clock.sleep(50 + random.float() * 450);
  }
}

const bodyText = (bodyId: BodyId): string => bodyId.slice(0, 8);

function drawSize(random: Random): number {
  let draw = random.below(SIZE_WEIGHTS.reduce((sum, weight) => sum + weight, 0));
  const index = SIZE_WEIGHTS.findIndex((weight) => {
    draw -= weight;
    return draw < 0;
  });
  return BODY_SIZES[index] ?? 0;
}
