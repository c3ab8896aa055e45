/** The progress of several transfers as one bar: bytes of all of them, and the name that moved last. */
import type { Clock } from '../ports/clock.ts';
import type { Terminal } from '../ports/terminal.ts';
import { ProgressBar } from './progress-bar.ts';

export class TransferProgress {
  readonly #terminal: Terminal;
  readonly #bar: ProgressBar;
  #total = 0;
  #done = 0;

  constructor(deps: { readonly terminal: Terminal; readonly clock: Clock }) {
    this.#terminal = deps.terminal;
    this.#bar = new ProgressBar(deps);
  }

  /** Bytes that are to come. */
  expect(bytes: number): void {
    this.#total += bytes;
  }

  /** Bytes that came, or, below 0, that have to come again. */
  moved(bytes: number, name: string): void {
    this.#done += bytes;
    this.#bar.show(this.#done, this.#total, name);
  }

  /** A line of results above the bar. */
  print(text: string): void {
    this.#bar.clear();
    this.#terminal.print(text);
  }

  clear(): void {
    this.#bar.clear();
  }
}
