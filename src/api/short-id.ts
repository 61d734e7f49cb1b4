/** Docker's length of a shown id, which is also a container's hostname when nobody gives it another. */
export const SHORT_ID_LENGTH = 12

export const shortIdOf = (id: string): string => id.slice(0, SHORT_ID_LENGTH)
