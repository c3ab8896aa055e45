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
import type { BodyLimits } from '../domain/body-limits.ts';
import type { BodyId, OpId } from '../domain/ids.ts';
import type { ByteRange, DeleteOutcome, GetOutcome, ListOutcome, PutOutcome, WriteCondition } from '../domain/object-operation.ts';
import type { LiveRecord } from '../domain/stored-object.ts';
import type { ObjectService } from '../node/node-service.ts';
import type { Random } from '../ports/random.ts';
import { checkOrder, type Listing } from './checkers/listings.ts';
import type { ModelCondition, ModelOp, ModelResult } from './checkers/object-model.ts';
import { bodyOf, Upload, type UploadKind } from './client-body.ts';
import type { History } from './history.ts';
import type { OperationId } from './run-case.ts';
import type { SimClock } from './sim-clock.ts';
import { chance, pick } from './sim-random.ts';

/** Sizes of bodies and how often each is drawn: nothing, one byte, small, both sides of the inline limit, of a chunk, of the lag. */
function bodySizes({ inlineBytesMax, chunkBytes, lagBytesMax }: BodyLimits): readonly (readonly [bytes: number, weight: number])[] {
  return [
    [0, 2], [1, 2], [100, 5], [inlineBytesMax >> 1, 2], [inlineBytesMax, 1], [inlineBytesMax + 1, 2], [chunkBytes, 1], [chunkBytes + 1, 1],
    [3 * chunkBytes + 7, 3], [2 * lagBytesMax, 2],
  ];
}

/** Share of the operations that go to one name, so that clients meet. */
const HOT_SHARE = 0.3;

/** An entry to the ring: a node's object service as a client reaches it. */
export interface Gateway {
  readonly name: string;
  readonly objects: ObjectService;
  /** Resolves when the node dies: the client's connection breaks. */
  readonly died: Promise<void>;
  /** Lets something from outside happen in the node's process: later when it stands still, never when it is dead. */
  readonly deliver: (run: () => void) => void;
}

export interface WorkloadDeps {
  readonly clock: SimClock;
  readonly random: Random;
  readonly history: History;
  /** Nodes whose gateway is open now; empty: none. */
  readonly gateways: () => readonly Gateway[];
  /** Whether the case has this operation. */
  readonly keeps: (operation: OperationId) => boolean;
  /** A put was acknowledged just now. */
  readonly onStored: (name: string, version: string) => void;
  readonly note: (who: string, text: string) => void;
  readonly fail: (violation: string) => void;
}

export interface WorkloadOptions {
  readonly names: readonly string[];
  readonly clients: number;
  readonly operationsPerClient: number;
  /** Virtual milliseconds after which clients begin nothing more: uploads in a bad network take long. */
  readonly durationMsMax: number;
  /** Virtual milliseconds between a client's operations, at most. */
  readonly thinkMsMax: number;
  /** Tries of a read; of a write at most, some clients give up earlier. */
  readonly triesMax: number;
  /** Clients try again after an unknown outcome. Not where tombstones go sooner than a client gives up: history goes with them. */
  readonly retriesUnknown: boolean;
  readonly bodies: BodyLimits;
}

/** Counts of what happened, by kind of operation and kind of end. */
export type WorkloadCounts = Map<string, number>;

type Attempt<T> = T | { readonly kind: 'no-gateway' } | { readonly kind: 'broken' };

const NO_GATEWAY = { kind: 'no-gateway' } as const;

interface KnownVersion {
  readonly version: Ballot;
  readonly tag: string;
}

export class Workload {
  readonly counts: WorkloadCounts = new Map();
  /** Every complete listing. */
  readonly listings: Listing[] = [];
  /** Operations that clients began, in this order. */
  readonly operations: OperationId[] = [];
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
    const clients = Array.from({ length: this.#options.clients }, (_, i) => this.#client(i));
    await Promise.all(clients);
  }

  /** Each operation draws from a source of its own, so that one that is left out changes nothing of the others. */
  async #client(client: number): Promise<void> {
    const who = `client ${client}`;
    const { clock } = this.#deps;
    const endAt = clock.nowMs() + this.#options.durationMsMax;
    for (let i = 0; i < this.#options.operationsPerClient && clock.nowMs() < endAt; i++) {
      const random = this.#deps.random.fork(`${who}, operation ${i}`);
      await clock.sleep(random.float() * this.#options.thinkMsMax);
      if (!this.#deps.keeps(`${client}/${i}`)) continue;
      this.operations.push(`${client}/${i}`);
      const name = chance(random, HOT_SHARE) ? (this.#options.names[0] as string) : pick(random, this.#options.names);
      const draw = random.float();
      if (draw < 0.38) await this.get(who, name, random, 'some');
      else if (draw < 0.8) await this.put(who, name, random);
      else if (draw < 0.95) await this.remove(who, name, random);
      else await this.list(who, random);
    }
  }

  /**
   * One linearizable read; retried until something answers or the tries are used up. Undefined: nothing answered. A large
   * body is read whole, or `some` range of it: then it may break off, because it was replaced or its readers died.
   */
  async get(who: string, name: string, random: Random, part: 'whole' | 'some'): Promise<string | null | undefined> {
    const number = this.#invoke(who, name, { kind: 'get' });
    let hasReturned = false;
    for (let attempt = 0; attempt < this.#options.triesMax; attempt++) {
      const gateway = this.#gateway(random);
      const outcome = gateway === null ? NO_GATEWAY : await this.#call<GetOutcome>(gateway, (objects) => objects.get({ name, consistency: 'linearizable', wantBody: true }));
      if (outcome.kind === 'found' || outcome.kind === 'absent') {
        const tag = outcome.kind === 'absent' ? null : this.#checkFound(name, outcome.record, outcome.body);
        if (!hasReturned) this.#returned(who, number, name, 'get', { kind: 'value', tag });
        hasReturned = true;
        if (outcome.kind === 'absent' || outcome.body !== null || gateway === null) return tag;
        if ((await this.#readBody(who, gateway, name, outcome, random, part)) || part === 'some') return tag;
      }
      await this.#backOff(random);
    }
    if (!hasReturned) this.#dropped(who, number, name, 'get');
    return undefined;
  }

  /** Reads a large body chunk by chunk and holds it against what its writer sent. False: it broke off. */
  async #readBody(who: string, gateway: Gateway, name: string, found: GetOutcome & { readonly kind: 'found' }, random: Random, part: 'whole' | 'some'): Promise<boolean> {
    const { record, open } = found;
    const { size } = record.body;
    const tag = record.ops.at(-1)?.opId ?? '';
    const isRange = part === 'some' && chance(random, 0.5);
    const offset = isRange ? random.below(size) : 0;
    const range: ByteRange = { offset, length: isRange ? 1 + random.below(size - offset) : size };
    const what = isRange ? 'read range' : 'read whole';
    const pauseMsMax = part === 'some' && chance(random, 0.4) ? 1500 : 0;
    const reader = open(range);
    const pieces: Buffer[] = [];
    const breaksOffAt = part === 'some' && chance(random, 0.1) ? random.below(range.length) : Infinity;
    for (let bytes = 0; ;) {
      const next = await this.#step(gateway, () => reader.next());
      if (next === 'broken') {
        this.#end(who, name, what, `broken off after ${bytes} of ${range.length} bytes of ${tag.slice(0, 8)}`, 'broken');
        return false;
      }
      if (next === null) break;
      pieces.push(Buffer.from(next));
      bytes += next.length;
      if (bytes > breaksOffAt) {
        gateway.deliver(() => { reader.cancel(); });
        this.#end(who, name, what, 'cancelled', 'cancelled');
        return true;
      }
      await this.#deps.clock.sleep(random.float() * pauseMsMax);
    }
    const expected = bodyOf(tag, size).subarray(range.offset, range.offset + range.length);
    if (!Buffer.concat(pieces).equals(expected)) {
      this.#deps.fail(`${range.length} bytes at ${range.offset} of "${name}" were read with other bytes than ${tag.slice(0, 8)} wrote (body ${bodyText(record.body.bodyId)})`);
    }
    this.#end(who, name, what, `${range.length} bytes of ${tag.slice(0, 8)}`, 'complete');
    return true;
  }

  /** One write of a few bytes, whatever is there; false: no node took it. */
  async putSome(who: string, name: string, random: Random): Promise<boolean> {
    const opId = random.hex(16) as OpId;
    const body = bodyOf(opId, 100);
    this.#deps.history.rememberDigest(opId, hash('sha256', body));
    const number = this.#invoke(who, name, { kind: 'put', tag: opId, condition: { kind: 'none' } });
    return await this.#write<PutOutcome>(who, number, name, 'put', random, this.#options.triesMax, (objects) =>
      objects.put({ name, contentType: 'text/plain', meta: [], condition: { kind: 'none' }, opId, body: Buffer.from(body) }));
  }

  async put(who: string, name: string, random: Random): Promise<void> {
    const opId = random.hex(16) as OpId;
    const body = bodyOf(opId, drawSize(random, this.#options.bodies));
    const isLarge = body.length > this.#options.bodies.inlineBytesMax;
    if (body.length > 0 && chance(random, 0.1)) return await this.#failedUpload(who, name, random, opId, body);
    this.#deps.history.rememberDigest(opId, hash('sha256', body));
    const { condition, model } = this.#drawCondition(name, random);
    const number = this.#invoke(who, name, { kind: 'put', tag: opId, condition: model });
    const isStreamed = isLarge || chance(random, 0.3);
    const fields = { name, contentType: 'text/plain', meta: [['op', opId]] as const, condition, opId };
    await this.#write<PutOutcome>(who, number, name, isLarge ? 'put large' : 'put', random, this.#draw(random), (objects, gateway) =>
      isStreamed
        ? objects.putStream({
          ...fields, source: this.#upload(gateway, random, body, 'whole'), expectedSize: chance(random, 0.5) ? body.length : null, verify: () => null,
        })
        : objects.put({ ...fields, body: Buffer.from(body) }),
    );
  }

  /** A put that must leave nothing behind: its tag is unknown to the history, so a reader that sees it fails the run. */
  async #failedUpload(who: string, name: string, random: Random, opId: OpId, body: Buffer): Promise<void> {
    const gateway = this.#gateway(random);
    if (gateway === null) return;
    const kind = pick<UploadKind>(random, ['breaks off', 'refused at the end', 'too short']);
    this.#deps.note(who, `put ${name} ${opId.slice(0, 8)}, ${kind}`);
    const outcome = await this.#call<PutOutcome>(gateway, (objects) => objects.putStream({
      name, contentType: 'text/plain', meta: [], condition: { kind: 'none' }, opId, expectedSize: kind === 'too short' ? body.length : null,
      source: this.#upload(gateway, random, body, kind),
      verify: () => (kind === 'refused at the end' ? { code: 'DHT_ERR_DIGEST_MISMATCH', detail: 'as the client wants it' } : null),
    }));
    if (outcome.kind !== 'not-applied' && outcome.kind !== 'broken') this.#deps.fail(`an upload of "${name}" that ${kind} ended as ${outcome.kind}`);
    this.#end(who, name, 'upload', `${kind}: ${outcome.kind}`, kind);
  }

  #upload({ deliver }: Gateway, random: Random, body: Buffer, kind: UploadKind): Upload {
    return new Upload({ clock: this.#deps.clock, random: random.fork('upload'), deliver }, body, kind);
  }

  /** All pages of a listing; null when one of them failed. */
  async list(who: string, random: Random): Promise<Listing | null> {
    const prefix = pick(random, ['', '', ...this.#options.names.map((name) => name.slice(0, random.below(name.length)))]);
    const delimiter = chance(random, 0.3) ? '/' : null;
    return await this.listAll(who, random, prefix, delimiter, 1 + random.below(4));
  }

  async listAll(who: string, random: Random, prefix: string, delimiter: string | null, limit: number): Promise<Listing | null> {
    const { clock, note, fail } = this.#deps;
    const startAt = this.#deps.history.moment();
    const names: string[] = [];
    const commonPrefixes: string[] = [];
    let cursor: string | null = null;
    do {
      let page: Attempt<ListOutcome> = NO_GATEWAY;
      const from: string | null = cursor;
      for (let attempt = 0; attempt < this.#options.triesMax && page.kind !== 'page'; attempt++) {
        if (attempt > 0) await this.#backOff(random);
        const gateway = this.#gateway(random);
        if (gateway !== null) page = await this.#call<ListOutcome>(gateway, (objects) => objects.list({ prefix, delimiter, limit, cursor: from }));
      }
      if (page.kind !== 'page') {
        this.#end(who, prefix, 'list', 'failed', 'failed');
        return null;
      }
      const count = page.objects.length + page.commonPrefixes.length;
      if (count > limit) fail(`${who} got ${count} entries in a page of ${limit}`);
      names.push(...page.objects.map(({ name }) => name));
      commonPrefixes.push(...page.commonPrefixes);
      cursor = page.cursor;
      if (names.length + commonPrefixes.length > 10 * this.#options.names.length) {
        fail(`${who} finds no end of a listing of "${prefix}"`);
        return null;
      }
      if (cursor !== null && chance(random, 0.3)) await clock.sleep(random.float() * 500);
    } while (cursor !== null);
    const listing: Listing = { client: who, prefix, delimiter, startAt, endAt: this.#deps.history.moment(), names, commonPrefixes };
    note(who, `list "${prefix}" -> ${[...names, ...commonPrefixes].join(', ')}`);
    this.#count('list complete');
    checkOrder(listing).forEach(fail);
    this.listings.push(listing);
    return listing;
  }

  async remove(who: string, name: string, random: Random): Promise<void> {
    const opId = random.hex(16) as OpId;
    const { condition, model } = this.#drawCondition(name, random);
    const number = this.#invoke(who, name, { kind: 'delete', condition: model });
    await this.#write<DeleteOutcome>(who, number, name, 'delete', random, this.#draw(random), (objects) => objects.delete({ name, condition, opId }));
  }

  /** Tries after which a client gives up: some do so early. */
  #draw(random: Random): number {
    return 1 + random.below(this.#options.triesMax);
  }

  /** False: it got no definite answer. */
  async #write<T extends PutOutcome | DeleteOutcome>(
    who: string,
    number: number,
    name: string,
    what: string,
    random: Random,
    tries: number,
    operation: (objects: ObjectService, gateway: Gateway) => Promise<T>,
  ): Promise<boolean> {
    let isUncertain = false;
    for (let attempt = 0; attempt < tries; attempt++) {
      const gateway = this.#gateway(random);
      const outcome: Attempt<PutOutcome | DeleteOutcome> = gateway === null ? NO_GATEWAY : await this.#call<PutOutcome | DeleteOutcome>(gateway, operation);
      switch (outcome.kind) {
        case 'stored':
          this.#deps.onStored(name, outcome.receipt.version);
          this.#returned(who, number, name, what, { kind: 'stored', isCreated: outcome.isCreated });
          return true;
        case 'deleted':
          // After an unknown try "was not there" may mean that this very operation removed it.
          if (isUncertain && !outcome.wasPresent) this.#unknown(who, name, what);
          else this.#returned(who, number, name, what, { kind: 'deleted', wasPresent: outcome.wasPresent });
          return true;
        case 'precondition-failed':
          if (isUncertain) this.#unknown(who, name, what);
          else this.#returned(who, number, name, what, { kind: 'precondition-failed' });
          return true;
        case 'unknown':
        case 'broken':
          isUncertain = true;
          if (!this.#options.retriesUnknown) {
            this.#unknown(who, name, what);
            return false;
          }
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
    return false;
  }

  #gateway(random: Random): Gateway | null {
    const gateways = this.#deps.gateways();
    return gateways.length === 0 ? null : pick(random, gateways);
  }

  /** Calls the node; `broken` when it dies before it answers. */
  async #call<T>(gateway: Gateway, operation: (objects: ObjectService, gateway: Gateway) => Promise<T>): Promise<Attempt<T>> {
    return await Promise.race([operation(gateway.objects, gateway), gateway.died.then(() => ({ kind: 'broken' as const }))]);
  }

  /** One step of something that is under way at the node; `broken` when it fails, or the node dies. */
  async #step<T>(gateway: Gateway, step: () => Promise<T>): Promise<T | 'broken'> {
    const done = new Promise<T | 'broken'>((resolve) => {
      gateway.deliver(() => { step().then(resolve, () => resolve('broken')); });
    });
    return await Promise.race([done, gateway.died.then(() => 'broken' as const)]);
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
    const isSame = body === null ? record.body.size > this.#options.bodies.inlineBytesMax : hash('sha256', body) === record.body.sha256;
    if (!isSame || record.body.sha256 !== expected) {
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
    this.#count(`${what} ${kind}`);
  }

  #count(counted: string): void {
    this.counts.set(counted, (this.counts.get(counted) ?? 0) + 1);
  }

  #backOff(random: Random): Promise<void> {
    return this.#deps.clock.sleep(50 + random.float() * 450);
  }
}

const bodyText = (bodyId: BodyId): string => bodyId.slice(0, 8);

function drawSize(random: Random, bodies: BodyLimits): number {
  const sizes = bodySizes(bodies);
  let draw = random.below(sizes.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [bytes, weight] of sizes) {
    draw -= weight;
    if (draw < 0) return bytes;
  }
  return 0;
}
