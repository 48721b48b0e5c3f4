--@ shape
-- The shape of a job after something was learned of it: it then stands in another queue (`queue_for_shape`).
-- `shape` with each alternative as `change` leaves it.
local function each_alternative(shape, change)
  local texts = {}
  for text in string.gmatch(shape, '[^;]+') do
    local one = alternative(text)
    if one then change(one) end
    texts[#texts + 1] = one and text_of(one) or text
  end
  return table.concat(texts, ';')
end

-- `shape` for a job that must not run on `node` again. Where it may run nowhere else it fits nowhere, and says so.
local function shape_without_node(shape, node)
  local word = shape_word(node)
  return each_alternative(shape, function(one)
    if not one['not'] or one['not'] == '' then one['not'] = word
    elseif not in_list(one['not'], word) then one['not'] = one['not'] .. ',' .. word end
  end)
end

-- `shape` for a job that needs GPUs of at least so many bytes; alternatives that want no GPU stay.
local function shape_with_memory(shape, bytes)
  return each_alternative(shape, function(one)
    if one.gpus ~= '0' then one.bytes = string.format('%.0f', math.max(tonumber(one.bytes) or 0, bytes)) end
  end)
end
