/** What k6 has beside its modules and its types leave out. */
declare global {
  const console: {
    log(text: string): void;
    error(text: string): void;
  };
}
export {};
