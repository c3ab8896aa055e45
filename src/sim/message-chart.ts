/**
 * A run as a message-sequence chart in text: one column a node, an arrow for each message as it arrives, and what clients,
 * faults and nodes say between them. Pings and other gossip are left out, and what a node says to itself never is on the
 * network; only the last rows before the first violation are kept.
 *
 *    12.345  |--------->|          |   prepare 7 "file 1" e4 ballot=4+120.3@a1b2
 */
import type { Ballot } from '../domain/ballot.ts';
import { HLC_STEPS_PER_MS } from '../domain/ballot.ts';
import { decodeHello, HELLO_TYPE, REFUSAL_TYPE } from '../protocol/hello.ts';
import { decodeMessage, FRAME_LIMITS } from '../protocol/codec.ts';
import { FrameDecoder } from '../protocol/frame.ts';
import { WALL_START_MS } from './sim-clock.ts';

const COLUMN = 11;
const QUIET_KINDS: ReadonlySet<string> = new Set([
  'ping', 'ping-reply', 'probe', 'probe-reply', 'notify', 'notify-reply', 'layout-fetch', 'layout-announce', 'layout-reply', 'caught', 'caught-reply',
]);
/** Fields that say little, or are large. */
const LEFT_OUT: ReadonlySet<string> = new Set(['kind', 'name', 'epoch', 'body', 'layout', 'meta', 'contentType', 'chunkCrcs', 'lineageFloor', 'ops', 'createdMs', 'sha256']);
const ID_CHARS = 4;

interface Row {
  readonly atMs: number;
  /** Null: a line of its own. */
  readonly from: string | null;
  readonly to: string | null;
  readonly text: string;
}

export class MessageChart {
  readonly #rowsMax: number;
  readonly #rows: Row[] = [];
  #omitted = 0;
  #isOver = false;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  /** A whole frame that arrives. */
  frame(atMs: number, from: string, to: string, bytes: Buffer): void {
    const text = this.#isOver ? null : frameText(bytes);
    if (text !== null) this.#add({ atMs, from, to, text });
  }

  /** A line of the transcript. The first violation ends the chart. */
  line(atMs: number, who: string, text: string): void {
    if (this.#isOver) return;
    this.#add({ atMs, from: null, to: null, text: `${who}: ${text}` });
    if (who === 'VIOLATION') this.#isOver = true;
  }

  toText(): string {
    const nodes = [...new Set(this.#rows.flatMap(({ from, to }) => [from, to].filter((name) => name !== null)))].sort();
    const pad = ' '.repeat(11);
    const head = `${pad}${nodes.map((name) => name.padEnd(COLUMN)).join('')}`;
    const omitted = this.#omitted === 0 ? [] : [`${pad}(${this.#omitted} rows before)`];
    return [...omitted, head, ...this.#rows.map((row) => rowText(row, nodes))].join('\n');
  }

  #add(row: Row): void {
    this.#rows.push(row);
    if (this.#rows.length <= this.#rowsMax) return;
    this.#rows.shift();
    this.#omitted++;
  }
}

function rowText({ atMs, from, to, text }: Row, nodes: readonly string[]): string {
  const time = `${(atMs / 1000).toFixed(3).padStart(9)}  `;
  if (from === null || to === null) return `${time}${nodes.map(() => '|'.padEnd(COLUMN)).join('')}${text}`;
  const a = nodes.indexOf(from);
  const b = nodes.indexOf(to);
  const low = Math.min(a, b);
  const high = Math.max(a, b);
  const cells = nodes.map((_, i) => {
    if (i < low || i >= high) return '|'.padEnd(COLUMN);
    const mark = i === low ? (a < b ? '|' : '|<') : '+';
    const isHead = i === high - 1 && a < b;
    return mark.padEnd(COLUMN - (isHead ? 1 : 0), '-') + (isHead ? '>' : '');
  });
  return `${time}${cells.join('')}${text}`;
}

/** Null: not to be shown. */
function frameText(bytes: Buffer): string | null {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  decoder.push(bytes);
  const frame = decoder.next();
  if (frame.kind !== 'frame') return 'bytes that are no frame';
  if (frame.type === HELLO_TYPE || frame.type === REFUSAL_TYPE) {
    const hello = decodeHello(frame);
    return hello.kind === 'refusal' ? `refusal: ${hello.refusal.detail}` : null;
  }
  const decoded = decodeMessage(frame);
  if (decoded.kind === 'malformed') return `malformed: ${decoded.detail}`;
  const message = decoded.message as { readonly kind: string; readonly name?: unknown };
  if (QUIET_KINDS.has(message.kind)) return null;
  const name = typeof message.name === 'string' ? ` "${message.name}"` : '';
  return `${message.kind} ${frame.reqId}${name} e${frame.epoch}${fieldsText(message)}`;
}

function fieldsText(value: object): string {
  return Object.entries(value).filter(([field]) => !LEFT_OUT.has(field)).map(([field, inner]) => {
    const text = valueText(inner);
    return text === '' ? '' : ` ${field}=${text}`;
  }).join('');
}

function valueText(value: unknown): string {
  if (value === null || value === undefined || Buffer.isBuffer(value)) return '';
  if (typeof value === 'string') return /^[0-9a-f]{32,}$/.test(value) ? value.slice(0, ID_CHARS) : value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object') return typeof value;
  if (Array.isArray(value)) return value.length === 0 ? '' : `[${value.slice(0, 4).map(valueText).join(' ')}${value.length > 4 ? ' ...' : ''}]`;
  if (isBallot(value)) return ballotShort(value);
  if ('clusterId' in value) return `{layout${'epoch' in value ? ` e${String(value.epoch)}` : ''}}`;
  return `{${'kind' in value ? String(value.kind) : ''}${fieldsText(value)}}`;
}

const isBallot = (value: object): value is Ballot => 'hlc' in value && 'epoch' in value && 'nodeId' in value;

/** Epoch, milliseconds since the run began, steps, node. */
function ballotShort({ epoch, hlc, nodeId }: Ballot): string {
  if (hlc === 0) return '0';
  // The layout chain counts its rounds.
  if (hlc < WALL_START_MS) return `${epoch}#${hlc}@${nodeId.slice(0, ID_CHARS)}`;
  return `${epoch}+${Math.floor(hlc / HLC_STEPS_PER_MS) - WALL_START_MS}.${hlc % HLC_STEPS_PER_MS}@${nodeId.slice(0, ID_CHARS)}`;
}
