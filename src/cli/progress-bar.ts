/** A bar with rate and time left on a terminal; nothing when notes go elsewhere. */
import type { Clock } from '../ports/clock.ts';
import type { Terminal } from '../ports/terminal.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';

/** Milliseconds between two drawings: a person reads no faster. */
const REDRAW_MS = 100;
const BAR_WIDTH_MAX = 30;

export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #startedAt: MonotonicMs;
  #drawnAt: MonotonicMs | null = null;

  constructor(deps: { readonly terminal: Terminal; readonly clock: Clock }) {
    this.#terminal = deps.terminal;
    this.#clock = deps.clock;
    this.#startedAt = deps.clock.monotonicNow();
  }

  /** Bytes. */
  show(done: number, total: number, label: string): void {
    const now = this.#clock.monotonicNow();
    if (!this.#terminal.isInteractive || (this.#drawnAt !== null && elapsedMs(this.#drawnAt, now) < REDRAW_MS)) return;
    this.#drawnAt = now;
    const seconds = elapsedMs(this.#startedAt, now) / 1000;
    this.#terminal.note(`\r\x1b[2K${progressLine(done, total, seconds, this.#terminal.columns, label)}`);
  }

  /** Takes the bar off the screen. */
  clear(): void {
    if (this.#drawnAt !== null) this.#terminal.note('\r\x1b[2K');
    this.#drawnAt = null;
  }
}

/** One line: bar, part done, rate, time left, label. */
export function progressLine(done: number, total: number, seconds: number, columns: number, label: string): string {
  const part = total === 0 ? 1 : Math.min(1, done / total);
  const width = Math.max(0, Math.min(BAR_WIDTH_MAX, columns - 45));
  const filled = Math.round(part * width);
  const rate = seconds > 0 ? done / seconds : 0;
  const left = rate > 0 ? `${durationText(Math.max(0, total - done) / rate)} left` : '';
  const text = `[${'='.repeat(filled)}${' '.repeat(width - filled)}] ${String(Math.floor(part * 100)).padStart(3)} %  ${bytesText(rate)}/s  ${left}  ${printable(label)}`;
  return text.slice(0, columns - 1);
}

/** Seconds, then minutes, then hours, each until there are 100 of them. */
export function durationText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? String(Math.round(value)) : value.toFixed(1)} ${UNITS[power] ?? ''}`;
}

/** A name as it can be shown: control characters would steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
