/** A label's value, '' where there is none: what every JavaScript object has (`constructor`) is no label. */
export const labelOf = (labels: Readonly<Record<string, string>>, name: string): string =>
  Object.hasOwn(labels, name) ? (labels[name] ?? '') : ''
