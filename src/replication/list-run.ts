/**
 * List run: one page of a listing. Reads the names of the ring in order until the page is full, and shows each live object
 * under its name, or once for all names with the same common prefix. A name on which the replicas don't agree is read like
 * an object first, some such names at a time.
 *
 *   read names in the present epoch --full, or no more--> page
 *      |-- newer layout -----> go on in it behind the last name decided
 *      |-- no quorum --------> back off, go on there, for some seconds
 *      `-- time is over -----> what there is so far, if anything was decided; else failed
 *
 * Every name is decided by a quorum of an epoch that was the present one meanwhile, so a change of the layout costs nothing
 * that is already on the page. The cursor names the last decided name: in a page that ended early too.
 */
import { ballotText, ballotWallMs } from '../domain/ballot.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import { isAtOrAfter, plusMs, type MonotonicMs } from '../domain/instant.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';
import { compareNames } from '../domain/name-order.ts';
import type { GetOutcome, ListedObject, ListOutcome, ListRequest } from '../domain/object-operation.ts';
import type { LiveRecord } from '../domain/stored-object.ts';
import type { ListedEntry } from '../protocol/message.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { behind, commonPrefix, cursorText, parseCursor, type ListPoint } from './list-cursor.ts';
import { backOffMs, leftMs, type OperationContext } from './operation-context.ts';
import { RingNames, type RingName } from './ring-names.ts';

type Page = Extract<ListOutcome, { kind: 'page' }>;
/** more: the cursor leads on. end: nothing follows. */
type Reading = { readonly kind: 'more' } | { readonly kind: 'end' } | { readonly kind: 'moved-on' } | { readonly kind: 'failed'; readonly detail: string };

/** A linearizable read without the body, which ends by the deadline. */
export type ReadName = (name: string, deadline: MonotonicMs) => Promise<GetOutcome>;

/** Names read side by side: enough that a page with many of them takes no longer than some tens of reads. */
const READS_MAX = 32;

/** One page. Never rejects. DHT_ERR_REQUEST_INVALID, DHT_ERR_NOT_READY, DHT_ERR_NO_QUORUM. */
export async function listNames(context: OperationContext, read: ReadName, request: ListRequest, deadline: MonotonicMs): Promise<ListOutcome> {
  const { prefix, delimiter, cursor } = request;
  if (!isNamePart(prefix)) return failed('DHT_ERR_REQUEST_INVALID', `the prefix is no UTF-8 text of at most ${NAME_BYTES_MAX} bytes`);
  if (delimiter !== null && (delimiter === '' || !isNamePart(delimiter))) return failed('DHT_ERR_REQUEST_INVALID', `the delimiter is no UTF-8 text of 1 to ${NAME_BYTES_MAX} bytes`);
  const point = cursor === null ? null : parseCursor(cursor);
  if (cursor !== null && point === null) return failed('DHT_ERR_REQUEST_INVALID', 'the cursor is none that this service gave');
  return await new ListRun(context, read, request, point, deadline).run();
}

class ListRun {
  readonly #context: OperationContext;
  readonly #readName: ReadName;
  readonly #request: ListRequest;
  readonly #deadline: MonotonicMs;
  readonly #begin: ListPoint | null;
  /** The last of what is decided, shown or not. */
  #reached: ListPoint | null;
  readonly #objects: ListedObject[] = [];
  readonly #commonPrefixes: string[] = [];

  constructor(context: OperationContext, readName: ReadName, request: ListRequest, begin: ListPoint | null, deadline: MonotonicMs) {
    this.#context = context;
    this.#readName = readName;
    this.#request = request;
    this.#begin = begin;
    this.#reached = begin;
    this.#deadline = deadline;
  }

  async run(): Promise<ListOutcome> {
    const { clock, options, views } = this.#context;
    const giveUpAt = plusMs(clock.monotonicNow(), options.unreachableDeadlineMs);
    for (let attempt = 1; ; attempt++) {
      const view = views.current();
      if (view === null) return failed('DHT_ERR_NOT_READY', 'this node is in no ring yet');
      const reading = await this.#read(view);
      if (reading.kind === 'more' || reading.kind === 'end') return this.#page(reading.kind);
      if (this.#leftMs === 0 || (reading.kind === 'failed' && isAtOrAfter(clock.monotonicNow(), giveUpAt))) {
        if (this.#reached !== this.#begin) return this.#page('more');
        return failed('DHT_ERR_NO_QUORUM', reading.kind === 'failed' ? reading.detail : 'the layout of the ring kept changing');
      }
      if (reading.kind === 'failed') await this.#pause(attempt);
    }
  }

  async #read(view: ClusterView): Promise<Reading> {
    const { prefix, delimiter, limit } = this.#request;
    const from = this.#reached === null ? null : behind(this.#reached);
    const isBefore = from !== null && compareNames(from.name, prefix) < 0;
    if (this.#reached !== null && !isBefore && from?.name.startsWith(prefix) !== true) return { kind: 'end' };
    const names = new RingNames(this.#context, view, { prefix, delimiter }, isBefore ? null : from);
    for (;;) {
      while (!names.isOpen) {
        const { stretch, isLast } = this.#take(names);
        const unread = stretch.every(({ isSettled }) => isSettled) ? '' : await this.#settle(stretch);
        for (const next of stretch) {
          if (!next.isSettled) return { kind: 'failed', detail: unread };
          if (this.#decide(names, next) === 'no-room') return { kind: 'more' };
        }
        if (isLast) return { kind: 'end' };
      }
      if (this.#count === limit) return { kind: 'more' };
      if (this.#leftMs === 0) return { kind: 'failed', detail: 'too few nodes answered within the deadline' };
      const filled = await names.fill(limit - this.#count + 1, Math.min(this.#context.options.callTimeoutMs, this.#leftMs));
      if (filled.kind !== 'filled') return filled;
    }
  }

  /** The next names, as many as can be decided together: what follows a group depends on whether it is shown. */
  #take(names: RingNames): { readonly stretch: RingName[]; readonly isLast: boolean } {
    const { prefix, delimiter, limit } = this.#request;
    const stretch: RingName[] = [];
    let shown = this.#count;
    let reads = 0;
    while (!names.isOpen && shown <= limit && reads < READS_MAX) {
      const next = names.next();
      if (next === null) return { stretch, isLast: true };
      stretch.push(next);
      if (!next.isSettled) reads += 1;
      if (!next.isSettled || next.entry?.recordKind === 'object') shown += 1;
      if (commonPrefix(next.name, prefix, delimiter) !== null) break;
    }
    return { stretch, isLast: false };
  }

  /** Settles the names of the stretch, in place, as far as they can be read; says why one could not. */
  async #settle(stretch: RingName[]): Promise<string> {
    let unread = '';
    await Promise.all(stretch.map(async ({ name, isSettled }, i) => {
      if (isSettled) return;
      const outcome = await this.#readName(name, this.#deadline);
      if (outcome.kind === 'unavailable') unread = `"${name}" can't be read: ${outcome.detail}`;
      else stretch[i] = { name, entry: outcome.kind === 'found' ? listedEntry(name, outcome.record) : null, isSettled: true };
    }));
    return unread;
  }

  /** Shows the name, or passes it by when it is no live object. */
  #decide(names: RingNames, { name, entry }: RingName): 'decided' | 'no-room' {
    const { prefix, delimiter, limit } = this.#request;
    if (entry?.recordKind !== 'object') {
      this.#reached = { kind: 'name', text: name };
      return 'decided';
    }
    if (this.#count === limit) return 'no-room';
    const group = commonPrefix(name, prefix, delimiter);
    if (group === null) {
      this.#objects.push(listedObject(entry));
      this.#reached = { kind: 'name', text: name };
    } else {
      this.#commonPrefixes.push(group);
      this.#reached = { kind: 'prefix', text: group };
      names.skip(group);
    }
    return 'decided';
  }

  get #count(): number {
    return this.#objects.length + this.#commonPrefixes.length;
  }

  get #leftMs(): number {
    return leftMs(this.#context, this.#deadline);
  }

  #page(kind: 'more' | 'end'): Page {
    const cursor = kind === 'end' || this.#reached === null ? null : cursorText(this.#reached);
    return { kind: 'page', objects: this.#objects, commonPrefixes: this.#commonPrefixes, cursor };
  }

  #pause(attempt: number): Promise<void> {
    return new Promise((resolve) => {
      this.#context.timers.after(Math.min(backOffMs(this.#context, attempt, 'list'), this.#leftMs), resolve);
    });
  }
}

function isNamePart(text: string): boolean {
  return text.isWellFormed() && Buffer.byteLength(text) <= NAME_BYTES_MAX;
}

function listedEntry(name: string, { version, body }: LiveRecord): ListedEntry {
  return { name, accepted: version, version, recordKind: 'object', size: body.size };
}

function listedObject({ name, size, version }: ListedEntry): ListedObject {
  return { name, size, etag: `"${ballotText(version)}"`, modified: new Date(ballotWallMs(version)).toISOString() };
}

function failed(code: ErrorCode, detail: string): ListOutcome {
  return { kind: 'failed', code, detail };
}
