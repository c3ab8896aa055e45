/**
 * Results as JSON, written as they come: one value, or an array that may be longer than memory is large. An array is closed
 * also when the command fails in its middle.
 */
export class JsonOutput {
  readonly #print: (text: string) => void;
  readonly #shape: 'one' | 'array';
  #count = 0;

  constructor(print: (text: string) => void, shape: 'one' | 'array') {
    this.#print = print;
    this.#shape = shape;
  }

  add(value: unknown): void {
    const text = JSON.stringify(value);
    if (this.#shape === 'one') this.#print(`${text}\n`);
    else this.#print(`${this.#count === 0 ? '[' : ',\n'}${text}`);
    this.#count += 1;
  }

  end(): void {
    if (this.#shape === 'array') this.#print(this.#count === 0 ? '[]\n' : ']\n');
  }
}
