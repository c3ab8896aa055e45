/** Ids of requests, for answers and the log: a random start for each process and a count. */
import type { Random } from '../ports/random.ts';

export class RequestIds {
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = random.hex(6);
  }

  next(): string {
    this.#count++;
    return `${this.#prefix}-${this.#count.toString(36)}`;
  }
}
