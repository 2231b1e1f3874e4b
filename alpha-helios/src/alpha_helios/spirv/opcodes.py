"""Numbers of SPIR-V: the instructions, capabilities and enumerants that the assembler uses, and their operands.

Sources: the SPIR-V specification 1.6 revision 5, and the extensions that `CAPABILITIES` names.
"""

import attrs

__all__ = [
    "BUILTINS",
    "CAPABILITIES",
    "DECORATIONS",
    "ENUMERANTS",
    "EXT",
    "INSTRUCTIONS",
    "MODES",
    "STORAGE",
    "Capability",
]


@attrs.frozen
class Capability:
    """A capability, the extension that brings it, and the device feature that it needs."""

    number: int
    extension: str = ""
    requirement: str = ""
    """Named as in Vulkan's feature structs where there is such a feature."""


_COOPERATIVE, _NV2 = "SPV_KHR_cooperative_matrix", "SPV_NV_cooperative_matrix2"
_CONTROLS = "SPV_KHR_float_controls"

CAPABILITIES: dict[str, Capability] = {
    "Shader": Capability(1),
    "Float16": Capability(9, "", "shaderFloat16"),
    "Float64": Capability(10, "", "shaderFloat64"),
    "Int64": Capability(11, "", "shaderInt64"),
    "Int64Atomics": Capability(12),
    "Int16": Capability(22, "", "shaderInt16"),
    "Int8": Capability(39, "", "shaderInt8"),
    "GroupNonUniform": Capability(61, "", "subgroupBasic"),
    "GroupNonUniformVote": Capability(62, "", "subgroupVote"),
    "GroupNonUniformArithmetic": Capability(63, "", "subgroupArithmetic"),
    "GroupNonUniformBallot": Capability(64, "", "subgroupBallot"),
    "GroupNonUniformShuffle": Capability(65, "", "subgroupShuffle"),
    "GroupNonUniformShuffleRelative": Capability(66, "", "subgroupShuffleRelative"),
    "StorageBuffer16BitAccess": Capability(4433, "", "storageBuffer16BitAccess"),
    "StorageBuffer8BitAccess": Capability(4448, "", "storageBuffer8BitAccess"),
    "DenormPreserve": Capability(4464, _CONTROLS),
    "DenormFlushToZero": Capability(4465, _CONTROLS),
    "SignedZeroInfNanPreserve": Capability(4466, _CONTROLS),
    "RoundingModeRTE": Capability(4467, _CONTROLS),
    "BFloat16TypeKHR": Capability(5116, "SPV_KHR_bfloat16", "shaderBFloat16Type"),
    "BFloat16CooperativeMatrixKHR": Capability(5118, "SPV_KHR_bfloat16", "shaderBFloat16CooperativeMatrix"),
    "VulkanMemoryModel": Capability(5345, "", "vulkanMemoryModel"),
    "VulkanMemoryModelDeviceScope": Capability(5346, "", "vulkanMemoryModelDeviceScope"),
    "PhysicalStorageBufferAddresses": Capability(5347, "", "bufferDeviceAddress"),
    "CooperativeMatrixReductionsNV": Capability(5430, _NV2, "cooperativeMatrixReductions"),
    "CooperativeMatrixConversionsNV": Capability(5431, _NV2, "cooperativeMatrixConversions"),
    "CooperativeMatrixPerElementOperationsNV": Capability(5432, _NV2, "cooperativeMatrixPerElementOperations"),
    "CooperativeMatrixTensorAddressingNV": Capability(5433, _NV2, "cooperativeMatrixTensorAddressing"),
    "TensorAddressingNV": Capability(5439, "SPV_NV_tensor_addressing"),
    "AtomicFloat32MinMaxEXT": Capability(5612, "SPV_EXT_shader_atomic_float_min_max"),
    "CooperativeMatrixKHR": Capability(6022, _COOPERATIVE, "cooperativeMatrix"),
    "AtomicFloat32AddEXT": Capability(6033, "SPV_EXT_shader_atomic_float_add"),
}

STORAGE: dict[str, int] = {
    "Input": 1,
    "Workgroup": 4,
    "Private": 6,
    "Function": 7,
    "PushConstant": 9,
    "PhysicalStorageBuffer": 5349,
}

DECORATIONS: dict[str, int] = {
    "SpecId": 1,
    "Block": 2,
    "ArrayStride": 6,
    "BuiltIn": 11,
    "NonWritable": 24,
    "Offset": 35,
    "NoContraction": 42,
}

BUILTINS: dict[str, int] = {
    "NumWorkgroups": 24,
    "WorkgroupId": 26,
    "LocalInvocationId": 27,
    "GlobalInvocationId": 28,
    "LocalInvocationIndex": 29,
    "SubgroupSize": 36,
    "NumSubgroups": 38,
    "SubgroupId": 40,
    "SubgroupLocalInvocationId": 41,
}

MODES: dict[str, int] = {
    "LocalSize": 17,
    "DenormPreserve": 4459,
    "DenormFlushToZero": 4460,
    "SignedZeroInfNanPreserve": 4461,
    "RoundingModeRTE": 4462,
}

EXT: dict[str, int] = {
    "Round": 1,
    "RoundEven": 2,
    "Trunc": 3,
    "FAbs": 4,
    "SAbs": 5,
    "FSign": 6,
    "SSign": 7,
    "Floor": 8,
    "Ceil": 9,
    "Fract": 10,
    "Sin": 13,
    "Cos": 14,
    "Tan": 15,
    "Atan": 18,
    "Sinh": 19,
    "Cosh": 20,
    "Tanh": 21,
    "Pow": 26,
    "Exp": 27,
    "Log": 28,
    "Exp2": 29,
    "Log2": 30,
    "Sqrt": 31,
    "InverseSqrt": 32,
    "UMin": 38,
    "SMin": 39,
    "UMax": 41,
    "SMax": 42,
    "Fma": 50,
    "Ldexp": 53,
    "PackHalf2x16": 58,
    "UnpackHalf2x16": 62,
    "FindILsb": 73,
    "FindUMsb": 75,
    "NMin": 79,
    "NMax": 80,
}
"""Instructions of GLSL.std.450."""

ENUMERANTS: dict[str, dict[int, str]] = {
    "capability": {row.number: name for name, row in CAPABILITIES.items()},
    "storage": {number: name for name, number in STORAGE.items()},
    "decoration": {number: name for name, number in DECORATIONS.items()},
    "builtin": {number: name for name, number in BUILTINS.items()},
    "mode": {number: name for name, number in MODES.items()},
    "ext": {number: name for name, number in EXT.items()},
    "addressing": {5348: "PhysicalStorageBuffer64"},
    "memory_model": {1: "GLSL450", 3: "Vulkan"},
    "execution_model": {5: "GLCompute"},
    "group": {0: "Reduce", 1: "InclusiveScan", 2: "ExclusiveScan"},
    "selection": {0: "None"},
    "loop": {0: "None", 1: "Unroll", 2: "DontUnroll"},
    "function": {0: "None"},
    "encoding": {0: "BFloat16KHR"},
    "reduction": {1: "Row", 2: "Column", 3: "Row|Column", 4: "2x2"},
}
"""Names by kind of operand and number, for people."""

# Operands: t and r are ids of the result's type and the result, i an id, n a number, s a string; a word is a kind of
# enumerant. `?` may be missing, `*` may repeat. `access` is a mask whose bits bring operands of their own.
_TABLE = """
    1 Undef t r
    5 Name i s
    6 MemberName i n s
    10 Extension s
    11 ExtInstImport r s
    12 ExtInst t r i ext i*
    14 MemoryModel addressing memory_model
    15 EntryPoint execution_model i s i*
    16 ExecutionMode i mode n*
    17 Capability capability
    19 TypeVoid r
    20 TypeBool r
    21 TypeInt r n n
    22 TypeFloat r n encoding?
    23 TypeVector r i n
    28 TypeArray r i i
    29 TypeRuntimeArray r i
    30 TypeStruct r i*
    32 TypePointer r storage i
    33 TypeFunction r i i*
    41 ConstantTrue t r
    42 ConstantFalse t r
    43 Constant t r literal
    44 ConstantComposite t r i*
    48 SpecConstantTrue t r
    49 SpecConstantFalse t r
    50 SpecConstant t r literal
    54 Function t r function i
    55 FunctionParameter t r
    56 FunctionEnd
    59 Variable t r storage i?
    61 Load t r i access?
    62 Store i i access?
    65 AccessChain t r i i*
    71 Decorate i decoration n*
    72 MemberDecorate i n decoration n*
    77 VectorExtractDynamic t r i i
    79 VectorShuffle t r i i n*
    80 CompositeConstruct t r i*
    81 CompositeExtract t r i n*
    82 CompositeInsert t r i i n*
    109 ConvertFToU t r i
    110 ConvertFToS t r i
    111 ConvertSToF t r i
    112 ConvertUToF t r i
    113 UConvert t r i
    114 SConvert t r i
    115 FConvert t r i
    120 ConvertUToPtr t r i
    124 Bitcast t r i
    126 SNegate t r i
    127 FNegate t r i
    128 IAdd t r i i
    129 FAdd t r i i
    130 ISub t r i i
    131 FSub t r i i
    132 IMul t r i i
    133 FMul t r i i
    134 UDiv t r i i
    135 SDiv t r i i
    136 FDiv t r i i
    137 UMod t r i i
    138 SRem t r i i
    140 FRem t r i i
    143 MatrixTimesScalar t r i i
    148 Dot t r i i
    151 UMulExtended t r i i
    154 Any t r i
    155 All t r i
    156 IsNan t r i
    157 IsInf t r i
    164 LogicalEqual t r i i
    165 LogicalNotEqual t r i i
    166 LogicalOr t r i i
    167 LogicalAnd t r i i
    168 LogicalNot t r i
    169 Select t r i i i
    170 IEqual t r i i
    171 INotEqual t r i i
    172 UGreaterThan t r i i
    173 SGreaterThan t r i i
    174 UGreaterThanEqual t r i i
    175 SGreaterThanEqual t r i i
    176 ULessThan t r i i
    177 SLessThan t r i i
    178 ULessThanEqual t r i i
    179 SLessThanEqual t r i i
    180 FOrdEqual t r i i
    183 FUnordNotEqual t r i i
    184 FOrdLessThan t r i i
    186 FOrdGreaterThan t r i i
    188 FOrdLessThanEqual t r i i
    190 FOrdGreaterThanEqual t r i i
    194 ShiftRightLogical t r i i
    195 ShiftRightArithmetic t r i i
    196 ShiftLeftLogical t r i i
    197 BitwiseOr t r i i
    198 BitwiseXor t r i i
    199 BitwiseAnd t r i i
    200 Not t r i
    202 BitFieldSExtract t r i i i
    203 BitFieldUExtract t r i i i
    204 BitReverse t r i
    205 BitCount t r i
    224 ControlBarrier i i i
    225 MemoryBarrier i i
    227 AtomicLoad t r i i i
    228 AtomicStore i i i i
    229 AtomicExchange t r i i i i
    230 AtomicCompareExchange t r i i i i i i
    234 AtomicIAdd t r i i i i
    236 AtomicSMin t r i i i i
    237 AtomicUMin t r i i i i
    238 AtomicSMax t r i i i i
    239 AtomicUMax t r i i i i
    240 AtomicAnd t r i i i i
    241 AtomicOr t r i i i i
    242 AtomicXor t r i i i i
    246 LoopMerge i i loop
    247 SelectionMerge i selection
    248 Label r
    249 Branch i
    250 BranchConditional i i i
    253 Return
    254 ReturnValue i
    255 Unreachable
    333 GroupNonUniformElect t r i
    334 GroupNonUniformAll t r i i
    335 GroupNonUniformAny t r i i
    337 GroupNonUniformBroadcast t r i i i
    338 GroupNonUniformBroadcastFirst t r i i
    339 GroupNonUniformBallot t r i i
    342 GroupNonUniformBallotBitCount t r i group i
    345 GroupNonUniformShuffle t r i i i
    346 GroupNonUniformShuffleXor t r i i i
    347 GroupNonUniformShuffleUp t r i i i
    348 GroupNonUniformShuffleDown t r i i i
    349 GroupNonUniformIAdd t r i group i
    350 GroupNonUniformFAdd t r i group i
    351 GroupNonUniformIMul t r i group i
    352 GroupNonUniformFMul t r i group i
    353 GroupNonUniformSMin t r i group i
    355 GroupNonUniformFMin t r i group i
    356 GroupNonUniformSMax t r i group i
    358 GroupNonUniformFMax t r i group i
    359 GroupNonUniformBitwiseAnd t r i group i
    360 GroupNonUniformBitwiseOr t r i group i
    361 GroupNonUniformBitwiseXor t r i group i
    4456 TypeCooperativeMatrixKHR r i i i i i
    4457 CooperativeMatrixLoadKHR t r i i i? access?
    4458 CooperativeMatrixStoreKHR i i i i? access?
    4459 CooperativeMatrixMulAddKHR t r i i i n?
    4460 CooperativeMatrixLengthKHR t r i
    5293 CooperativeMatrixConvertNV t r i
    5366 CooperativeMatrixReduceNV t r i reduction i
    5367 CooperativeMatrixLoadTensorNV t r i i i access tensor_access
    5368 CooperativeMatrixStoreTensorNV i i i access tensor_access
    5369 CooperativeMatrixPerElementOpNV t r i i i*
    5370 TypeTensorLayoutNV r i i
    5371 TypeTensorViewNV r i i i*
    5372 CreateTensorLayoutNV t r
    5373 TensorLayoutSetDimensionNV t r i i*
    5374 TensorLayoutSetStrideNV t r i i*
    5375 TensorLayoutSliceNV t r i i*
    5376 TensorLayoutSetClampValueNV t r i i
    5377 CreateTensorViewNV t r
    5378 TensorViewSetDimensionNV t r i i*
    5379 TensorViewSetStrideNV t r i i*
    5382 TensorViewSetClipNV t r i i i i i
    5390 CooperativeMatrixTransposeNV t r i
    5614 AtomicFMinEXT t r i i i i
    5615 AtomicFMaxEXT t r i i i i
    6035 AtomicFAddEXT t r i i i i
"""

INSTRUCTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    name: (int(number), tuple(operands)) for number, name, *operands in map(str.split, _TABLE.strip().splitlines())
}
"""Number and operands of each instruction, by its name without `Op`."""
