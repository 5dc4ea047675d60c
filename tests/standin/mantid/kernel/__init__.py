"""Properties, validators, vectors, units, time, configuration and logging."""

from mantid.kernel._boost import std_vector_dbl, std_vector_int, std_vector_property, std_vector_str
from mantid.kernel._config import ConfigServiceImpl, config
from mantid.kernel._data_item import DataItem
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._enumerations import (
    CompositeRelation,
    DeltaEModeType,
    Direction,
    LogicOperator,
    PropertyCriterion,
)
from mantid.kernel._logger import Logger
from mantid.kernel._property import (
    BoolPropertyWithValue,
    FloatArrayProperty,
    FloatPropertyWithValue,
    IntArrayProperty,
    IntPropertyWithValue,
    LongPropertyWithValue,
    Property,
    StringArrayProperty,
    StringPropertyWithValue,
    UnsignedIntArrayProperty,
    VectorFloatPropertyWithValue,
    VectorLongPropertyWithValue,
    VectorStringPropertyWithValue,
)
from mantid.kernel._property_manager import (
    IPropertyManager,
    PropertyHistory,
    PropertyManager,
    PropertyManagerProperty,
)
from mantid.kernel._settings import EnabledWhenProperty, IPropertySettings, VisibleWhenProperty
from mantid.kernel._time_series import FloatTimeSeriesProperty
from mantid.kernel._units import Label, Unit, UnitFactoryImpl, UnitLabel
from mantid.kernel._validators import (
    CompositeValidator,
    FloatArrayBoundedValidator,
    FloatArrayLengthValidator,
    FloatArrayMandatoryValidator,
    FloatArrayOrderedPairsValidator,
    FloatBoundedValidator,
    FloatMandatoryValidator,
    IntArrayBoundedValidator,
    IntArrayLengthValidator,
    IntArrayMandatoryValidator,
    IntBoundedValidator,
    IValidator,
    NullValidator,
    RebinParamsValidator,
    StringArrayLengthValidator,
    StringArrayMandatoryValidator,
    StringContainsValidator,
    StringListValidator,
    StringMandatoryValidator,
)
from mantid.kernel._vectors import V3D, VMD

__all__ = [
    "V3D",
    "VMD",
    "BoolPropertyWithValue",
    "CompositeRelation",
    "CompositeValidator",
    "ConfigService",
    "ConfigServiceImpl",
    "DataItem",
    "DateAndTime",
    "DeltaEModeType",
    "Direction",
    "EnabledWhenProperty",
    "FloatArrayBoundedValidator",
    "FloatArrayLengthValidator",
    "FloatArrayMandatoryValidator",
    "FloatArrayOrderedPairsValidator",
    "FloatArrayProperty",
    "FloatBoundedValidator",
    "FloatMandatoryValidator",
    "FloatPropertyWithValue",
    "FloatTimeSeriesProperty",
    "IPropertyManager",
    "IPropertySettings",
    "IValidator",
    "IntArrayBoundedValidator",
    "IntArrayLengthValidator",
    "IntArrayMandatoryValidator",
    "IntArrayProperty",
    "IntBoundedValidator",
    "IntPropertyWithValue",
    "Label",
    "Logger",
    "LogicOperator",
    "LongPropertyWithValue",
    "NullValidator",
    "Property",
    "PropertyCriterion",
    "PropertyHistory",
    "PropertyManager",
    "PropertyManagerProperty",
    "RebinParamsValidator",
    "StringArrayLengthValidator",
    "StringArrayMandatoryValidator",
    "StringArrayProperty",
    "StringContainsValidator",
    "StringListValidator",
    "StringMandatoryValidator",
    "StringPropertyWithValue",
    "Unit",
    "UnitFactory",
    "UnitFactoryImpl",
    "UnitLabel",
    "UnsignedIntArrayProperty",
    "VectorFloatPropertyWithValue",
    "VectorLongPropertyWithValue",
    "VectorStringPropertyWithValue",
    "VisibleWhenProperty",
    "config",
    "logger",
    "std_vector_dbl",
    "std_vector_int",
    "std_vector_property",
    "std_vector_str",
    "version_str",
]

ConfigService = config
UnitFactory = UnitFactoryImpl()
logger = Logger("Python")
version_str = "3.13.0"
