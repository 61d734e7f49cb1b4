/** Base64 of a JSON object with name, size, mode and so on, as the Engine sends it. */
export const PATH_STAT_HEADER = 'x-docker-container-path-stat'
