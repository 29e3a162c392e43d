-- How a limit stands. Changes nothing.
-- KEYS  1 the hash of this limit  2 the pause  3 the calls in flight     ARGV  1 the day's offset from UTC in seconds
-- Returns the operator's per_minute, in_flight, per_day ('' if unchanged), what was found, calls in flight, calls
-- today, microseconds of the pause, of the rest of the day, starts a minute.
local has = redis.call('HMGET', KEYS[1], 'override.per_minute', 'override.in_flight', 'override.per_day', 'found',
  'day', 'today', 'slot', 'starts', 'starts_before', 'began')
local today, midnight = day(ARGV[1])
local count = tonumber(has[5]) == today and has[6] or '0'
local flying = redis.call('ZCOUNT', KEYS[3], '(' .. whole(now), '+inf')
local paused = math.max(redis.call('PTTL', KEYS[2]), 0) * 1000
local pace = has[7] and pace_per_minute(has[7], has[8], has[9], has[10]) or 0
return {has[1] or '', has[2] or '', has[3] or '', has[4] or '', tostring(flying), count, whole(paused),
  whole(midnight), string.format('%.4f', pace)}
